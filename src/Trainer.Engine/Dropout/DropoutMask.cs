using TorchSharp;
using Trainer.Engine.Native;
using Trainer.Engine.Reference;
using Trainer.Numerics.Draws;
using static TorchSharp.torch;

namespace Trainer.Engine.Dropout;

/// <summary>Dropout masks that are a pure function of seed, step, micro-batch, module and element, so that recomputation and resume draw the same.</summary>
internal static unsafe class DropoutMask
{
    // Some microseconds of draws: less is not worth a thread.
    private const long Grain = 1 << 14;

    /// <summary>A mask [rows, columns] of 0 and 1 / (1 - p).</summary>
    public static Tensor Make(StepKey key, int module, long rows, long columns, double probability, Device device)
    {
        var mask = empty(rows, columns, dtype: ScalarType.Float32);
        Fill((float*)TorchNative.DataPointer(mask), rows * columns, key, module, columns, probability);
        return device.type == DeviceType.CPU ? mask : mask.to(device);
    }

    /// <summary>Fills a mask of whole rows in element order; rows before the key's first one count.</summary>
    public static void Fill(float* mask, long count, StepKey key, int module, long columns, double probability)
    {
        var stream = SplitMix64.Mix(SplitMix64.Mix(SplitMix64.Mix(SplitMix64.Mix((ulong)key.Seed) ^ (ulong)key.Step) ^ (ulong)key.MicroStep) ^ (ulong)module);
        var (drop, keep) = ((ulong)(probability * (1L << 32)), (float)(1 / (1 - probability)));
        stream += (ulong)(key.FirstRow * columns);
        ComputeThreads.For(0, count, Grain, (begin, end) => DropoutDraws.Fill(mask, stream, begin, end, drop, keep));
    }
}
