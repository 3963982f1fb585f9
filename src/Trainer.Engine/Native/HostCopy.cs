using TorchSharp;
using Trainer.Numerics.Spans;
using static TorchSharp.torch;

namespace Trainer.Engine.Native;

/// <summary>Copies of flat float32 tensors between a device and this process's memory, any length.</summary>
public static unsafe class HostCopy
{
    /// <summary>Copies a tensor to the host, once everything queued before is done.</summary>
    /// <param name="source">Float32, contiguous, at least as long as the target.</param>
    /// <param name="target">Where the first elements go.</param>
    public static void Read(Tensor source, LongSpan<float> target)
    {
        if (target.Length == 0) return;
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        fixed (float* values = target) TorchMemory.View(values, [target.Length], [1]).copy_(source.narrow(0, 0, target.Length));
    }

    /// <summary>Copies from the host; the source may be used again at once.</summary>
    /// <param name="source">The elements.</param>
    /// <param name="target">Float32, contiguous.</param>
    /// <param name="begin">First element of the target that is overwritten.</param>
    public static void Write(ReadOnlyLongSpan<float> source, Tensor target, long begin = 0)
    {
        if (source.Length == 0) return;
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        fixed (float* values = source) target.narrow(0, begin, source.Length).copy_(TorchMemory.View(values, [source.Length], [1]));
    }
}
