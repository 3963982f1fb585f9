using Trainer.Engine;
using Trainer.Engine.Native;
using Trainer.Numerics.Spans;

namespace Trainer.Training.Optimizers;

/// <summary>
/// AdamW with both moments in 8 bits, as bitsandbytes' block-wise optimizer (arXiv 2110.02861): a code and, for 256 elements, their largest
/// magnitude. Moments are unpacked, updated and used in float32, then packed to the nearest code. Tensors below min_8bit_size elements keep float32
/// moments, which is plain AdamW.
/// </summary>
internal sealed class AdamW8Bit : IOptimizer
{
    public static readonly IReadOnlyList<ArgumentSpec> Arguments = [new("min_8bit_size", "4096")];

    private const int BlockSize = 256;
    private readonly OptimizerSetup _setup;
    private readonly List<TensorState> _states;
    private readonly AdamW? _small;

    /// <param name="setup">What is trained, and the run's options.</param>
    public AdamW8Bit(OptimizerSetup setup)
    {
        _setup = setup;
        _states = [.. setup.Tensors.Where(tensor => IsPacked(setup.Arguments, tensor.Count)).Select(tensor => new TensorState(tensor))];
        var small = setup.Tensors.Where(tensor => !IsPacked(setup.Arguments, tensor.Count)).ToList();
        if (small.Count > 0)
            _small = new AdamW(setup with { Tensors = small,
                Groups = [.. small.Select(tensor => new ParameterGroup(tensor.Offset, tensor.Count, setup.Factor(tensor)))] });
        State = [.. _states.SelectMany(state => state.Named), .. _small?.State ?? []];
    }

    public IReadOnlyList<StateTensor> State { get; }

    public static long StateBytes(Arguments arguments, long[] shape)
    {
        var count = OptimizerKind.Count(shape);
        return IsPacked(arguments, count) ? 2 * (count + 4 * Blocks(count)) : 8 * count;
    }

    public void Step(LongSpan<float> values, ReadOnlyLongSpan<float> gradients, in OptimizerStep step)
    {
        _small?.Step(values, gradients, step);
        var options = _setup.Options;
        var (scale, beta1, beta2) = ((float)step.GradientScale, (float)options.AdamBeta1, (float)options.AdamBeta2);
        var root = Math.Sqrt(1 - Math.Pow(options.AdamBeta2, step.Number));
        foreach (var state in _states)
        {
            var rate = step.LearningRate * _setup.Factor(state.Tensor);
            var (keep, size) = ((float)(1 - rate * options.WeightDecay), (float)(rate * root / (1 - Math.Pow(options.AdamBeta1, step.Number))));
            var floor = (float)(root * options.AdamEpsilon);
            var (offset, number) = (state.Tensor.Offset, state.Tensor.Count);
            ComputeThreads.ForSpans(values.Slice(offset, number), gradients.Slice(offset, number), (part, slopes, at) =>
            {
                Span<float> first = stackalloc float[BlockSize], second = stackalloc float[BlockSize];
                for (var begin = 0; begin < part.Length; begin += BlockSize)
                {
                    var (block, count) = ((at + begin) / BlockSize, Math.Min(BlockSize, part.Length - begin));
                    state.Unpack(block, first[..count], second[..count]);
                    for (var i = 0; i < count; i++)
                    {
                        var g = slopes[begin + i] * scale;
                        first[i] = first[i] * beta1 + (1 - beta1) * g;
                        second[i] = second[i] * beta2 + (1 - beta2) * g * g;
                        part[begin + i] = part[begin + i] * keep - size * (first[i] / (MathF.Sqrt(second[i]) + floor));
                    }
                    state.Pack(block, first[..count], second[..count]);
                }
            }, BlockSize);
        }
    }

    private static bool IsPacked(Arguments arguments, long count) => count >= arguments.Number("min_8bit_size");

    private static long Blocks(long count) => (count + BlockSize - 1) / BlockSize;

    private sealed class TensorState
    {
        private readonly LongArray<byte> _first, _second;
        private readonly LongArray<float> _firstMax, _secondMax;

        public TensorState(ParameterEntry tensor)
        {
            Tensor = tensor;
            Blocks = Blocks(tensor.Count);
            (_first, _second) = (new LongArray<byte>(tensor.Count), new LongArray<byte>(tensor.Count));
            (_firstMax, _secondMax) = (new LongArray<float>(Blocks), new LongArray<float>(Blocks));
            // The code of 0: with a largest magnitude of 0 any code would do.
            _first.All.Fill(DynamicMap.Signed.Code(0));
            _second.All.Fill(DynamicMap.Unsigned.Code(0));
            Named =
            [
                StateTensor.Of($"state1.{tensor.Name}", _first), StateTensor.Of($"state2.{tensor.Name}", _second),
                StateTensor.Of($"absmax1.{tensor.Name}", _firstMax), StateTensor.Of($"absmax2.{tensor.Name}", _secondMax),
            ];
        }

        public ParameterEntry Tensor { get; }

        public long Blocks { get; }

        public IReadOnlyList<StateTensor> Named { get; }

        public void Unpack(long block, Span<float> first, Span<float> second)
        {
            var (begin, count) = (block * BlockSize, first.Length);
            ReadOnlySpan<byte> codes1 = _first.All.Span(begin, count), codes2 = _second.All.Span(begin, count);
            var (max1, max2) = (_firstMax[block], _secondMax[block]);
            for (var i = 0; i < count; i++)
            {
                first[i] = DynamicMap.Signed.Values[codes1[i]] * max1;
                second[i] = DynamicMap.Unsigned.Values[codes2[i]] * max2;
            }
        }

        public void Pack(long block, ReadOnlySpan<float> first, ReadOnlySpan<float> second)
        {
            Pack(first, _first.All.Span(block * BlockSize, first.Length), out _firstMax[block], DynamicMap.Signed);
            Pack(second, _second.All.Span(block * BlockSize, second.Length), out _secondMax[block], DynamicMap.Unsigned);
        }

        private static void Pack(ReadOnlySpan<float> values, Span<byte> codes, out float largest, DynamicMap map)
        {
            largest = 0;
            foreach (var value in values) largest = Math.Max(largest, Math.Abs(value));
            for (var i = 0; i < values.Length; i++) codes[i] = map.Code(largest == 0 ? 0 : values[i] / largest);
        }
    }
}
