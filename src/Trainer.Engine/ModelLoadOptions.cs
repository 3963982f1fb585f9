using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Native;
using Trainer.Models;

namespace Trainer.Engine;

/// <summary>How a model is loaded and computed.</summary>
public sealed record ModelLoadOptions
{
    /// <summary>How frozen linear weights are held (the head and embeddings stay as stored).</summary>
    public QuantizeKind Quantize { get; init; } = QuantizeKind.None;

    /// <summary>With NF4: quantize the absmax values too.</summary>
    public bool DoubleQuantize { get; init; } = true;

    /// <summary>Type of the frozen matrix products.</summary>
    public ComputeKind Compute { get; init; } = ComputeKind.Auto;

    /// <summary>Which engine computes.</summary>
    public EngineKind Engine { get; init; } = EngineKind.Auto;

    /// <summary>Keep layer inputs only and recompute in the backward pass.</summary>
    public bool GradientCheckpointing { get; init; } = true;

    /// <summary>Every weight is trainable and lies in the parameter buffer (pre-training small models).</summary>
    public bool TrainAllWeights { get; init; }

    /// <summary>Read the layers of a base that lies on disk as it is used when they are needed, the next one ahead on a thread of its own, instead of holding
    /// them all.</summary>
    public bool Stream { get; init; }

    /// <summary>With <see cref="Stream"/>: bytes that layers and head may take in memory, see <see cref="StreamWindow"/>; null is the least possible.</summary>
    public long? StreamBytes { get; init; }

    /// <summary>With <see cref="Stream"/>: how the files are read.</summary>
    public StreamReads StreamReads { get; init; } = StreamReads.Auto;

    /// <summary>With <see cref="Stream"/>: the processes of this machine that read the same files; null is this one alone.</summary>
    public StreamReaders? StreamReaders { get; init; }

    /// <summary><c>cpu</c>, or a torch device such as <c>cuda:0</c>.</summary>
    public string Device { get; init; } = "cpu";

    /// <summary>Whether the hand-written layers run over libtorch's operations: on any device but the processor, and on it where that is asked for.</summary>
    public bool UsesLibtorch => Device != "cpu" || Engine == EngineKind.Libtorch;

    /// <summary>These options for a device as the user names it: <c>auto</c> is the processor; <c>libtorch</c> is too, computing as any other device would,
    /// which is how that way is proven without one.</summary>
    /// <param name="device">auto, cpu, cuda, cuda:N, mps or libtorch.</param>
    public ModelLoadOptions On(string device) => device switch
    {
        "auto" or "cpu" => this with { Device = "cpu" },
        ComputeDevice.Stand => this with { Device = "cpu", Engine = EngineKind.Libtorch },
        _ => this with { Device = device },
    };

    /// <summary>Operations of the device that kernels of our own take the place of.</summary>
    public IReadOnlyList<string> OwnKernels => [.. Overrides.Select(each => each.Operation)];

    /// <summary>These options with some operations left to the device.</summary>
    /// <param name="operations">Names of operations.</param>
    public ModelLoadOptions Without(IReadOnlyCollection<string> operations)
        => this with { Overrides = [.. Overrides.Where(each => !operations.Contains(each.Operation))] };

    /// <summary>Kernels of our own, by operation.</summary>
    internal IReadOnlyList<KernelOverride> Overrides { get; init; } = [];

    /// <summary>Makes the kernels of the hand-written engine; null for those of the device.</summary>
    internal KernelFactory? Kernels { get; init; }
}
