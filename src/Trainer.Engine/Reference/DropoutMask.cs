using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Engine;

/// <summary>Dropout masks that are a pure function of seed, step, micro-batch, module and element, so that recomputation and resume draw the same.</summary>
internal static unsafe class DropoutMask
{
    /// <summary>A mask [rows, columns] of 0 and 1 / (1 - p).</summary>
    public static Tensor Make(StepKey key, int module, long rows, long columns, double probability, Device device)
    {
        var mask = empty(rows, columns, dtype: ScalarType.Float32);
        Fill(new Span<float>(TorchNative.DataPointer(mask), checked((int)(rows * columns))), key, module, columns, probability);
        return device.type == DeviceType.CPU ? mask : mask.to(device);
    }

    /// <summary>Fills a mask of whole rows in element order; rows before the key's first one count.</summary>
    public static void Fill(Span<float> mask, StepKey key, int module, long columns, double probability)
    {
        var stream = Mix(Mix(Mix(Mix((ulong)key.Seed) ^ (ulong)key.Step) ^ (ulong)key.MicroStep) ^ (ulong)module);
        var (drop, keep) = ((ulong)(probability * (1L << 32)), (float)(1 / (1 - probability)));
        stream += (ulong)(key.FirstRow * columns);
        for (var i = 0; i < mask.Length; i++) mask[i] = Mix(stream + (ulong)i) >> 32 < drop ? 0f : keep;
    }

    // SplitMix64 (Steele, Lea, Flood 2014): a bijection of the counter whose outputs pass statistical tests.
    internal static ulong Mix(ulong x)
    {
        x += 0x9E37_79B9_7F4A_7C15;
        x = (x ^ (x >> 30)) * 0xBF58_476D_1CE4_E5B9;
        x = (x ^ (x >> 27)) * 0x94D0_49BB_1331_11EB;
        return x ^ (x >> 31);
    }
}
