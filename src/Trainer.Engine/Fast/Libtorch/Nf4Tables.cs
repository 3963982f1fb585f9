using TorchSharp;
using Trainer.Engine.Native;
using Trainer.Numerics.Nf4;
using static TorchSharp.torch;

namespace Trainer.Engine.Fast.Libtorch;

/// <summary>The two values of each packed byte, on a device, as one 64-bit word: a look-up moves both.</summary>
/// <remarks>
/// Pairs of bfloat16 would halve what is moved. But a code's value would then be rounded before its block's absmax multiplies it and once more after,
/// and weights would differ from those that bitsandbytes and the processor compute.
/// </remarks>
internal sealed class Nf4Tables : IDisposable
{
    private const int Bytes = 256;

    private readonly DeviceHeap _heap;

    public Nf4Tables(DeviceHeap heap)
    {
        _heap = heap;
        var pairs = new float[2 * Bytes];
        // The first element is in the high half of its byte.
        for (var b = 0; b < Bytes; b++) (pairs[2 * b], pairs[2 * b + 1]) = (Nf4Codebook.Values[b >> 4], Nf4Codebook.Values[b & 15]);
        using var values = tensor(pairs);
        using var words = TorchMemory.Retyped(values, ScalarType.Int64);
        Pairs = heap.Take(DeviceUse.Weights, Bytes, ScalarType.Int64);
        Pairs.copy_(words);
    }

    /// <summary>(256), 64-bit integers.</summary>
    public Tensor Pairs { get; }

    public void Dispose() => _heap.Give(DeviceUse.Weights, Pairs);
}
