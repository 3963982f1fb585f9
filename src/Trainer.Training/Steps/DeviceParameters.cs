using TorchSharp;
using Trainer.Distributed;
using Trainer.Engine;
using Trainer.Engine.Native;
using Trainer.Numerics.Spans;
using Trainer.Training.Optimizers;
using static TorchSharp.torch;

namespace Trainer.Training.Steps;

/// <summary>Parameters on a device: what is done to them at each step is done there, and only what is asked for comes to the host.</summary>
/// <param name="buffer">Gives the buffer; the proof of a saved adapter attaches another.</param>
/// <param name="frozen">Elements that no step changes.</param>
internal sealed class DeviceParameters(Func<ParameterBuffer> buffer, IReadOnlyList<FrozenBlock> frozen) : IParameterStore, IDisposable
{
    private const long PartElements = 1 << 24;
    private LongArray<float>? _values;
    private LongArray<float>? _gradients;

    public IReadOnlyList<ParameterEntry> Tensors => buffer().Entries;

    public long Length => buffer().Length;

    private Tensor Values => buffer().Values;

    private Tensor Gradients => buffer().Gradients;

    public void ClearGradients() => buffer().ZeroGradients();

    public void SumGradients(ICollective ranks, Span<double> riders)
    {
        using (NewDisposeScope())
            foreach (var block in frozen) Rows(Gradients, block).zero_();
        if (ranks.Size == 1) return;
        var host = Host(ref _gradients, Gradients);
        // The riders travel with the last block.
        foreach (var (begin, count) in LongBlocks.Of(Length)) ranks.Sum(host.Span(begin, count), begin + count == Length ? riders : []);
        HostCopy.Write(host, Gradients);
    }

    public double GradientNorm()
    {
        using var scope = NewDisposeScope();
        // A float32 square overflows at 1.8e19, but Apple's graphics have nothing wider.
        var wide = Gradients.device.type == DeviceType.MPS ? ScalarType.Float32 : ScalarType.Float64;
        var sums = Parts().Select(part => Gradients.narrow(0, part.Begin, part.Count).to(wide).square().sum()).ToList();
        return sums.Count == 0 ? 0 : Math.Sqrt(stack(sums).cpu().to(ScalarType.Float64).sum().item<double>());
    }

    public bool AreValuesFinite()
    {
        using var scope = NewDisposeScope();
        var parts = Parts().Select(part => Values.narrow(0, part.Begin, part.Count).isfinite().all()).ToList();
        return parts.Count == 0 || stack(parts).all().cpu().item<bool>();
    }

    public void Step(IOptimizer optimizer, in OptimizerStep step)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var before = frozen.Select(block => Rows(Values, block).clone()).ToList();
        if (optimizer is IDeviceOptimizer here) here.Step(Values, Gradients, step);
        else
        {
            var values = Host(ref _values, Values);
            optimizer.Step(values, Host(ref _gradients, Gradients), step);
            HostCopy.Write(values, Values);
        }
        // Decay, or a rule that knows no gradient of 0, would move them.
        for (var i = 0; i < before.Count; i++) Rows(Values, frozen[i]).copy_(before[i]);
    }

    public ReadOnlyLongSpan<float> HostValues() => Host(ref _values, Values);

    public ReadOnlyLongSpan<float> HostGradients() => Host(ref _gradients, Gradients);

    public void Write(long begin, ReadOnlyLongSpan<float> values) => HostCopy.Write(values, Values, begin);

    public void Dispose()
    {
        _values?.Dispose();
        _gradients?.Dispose();
    }

    private static Tensor Rows(Tensor whole, FrozenBlock block) => whole.as_strided([block.Rows, block.Width], [block.Stride, 1], block.Begin);

    private IEnumerable<(long Begin, long Count)> Parts()
    {
        for (long begin = 0; begin < Length; begin += PartElements) yield return (begin, Math.Min(PartElements, Length - begin));
    }

    private LongSpan<float> Host(ref LongArray<float>? copy, Tensor source)
    {
        if (copy?.Length != Length)
        {
            copy?.Dispose();
            copy = new LongArray<float>(Length);
        }
        HostCopy.Read(source, copy.All);
        return copy.All;
    }
}
