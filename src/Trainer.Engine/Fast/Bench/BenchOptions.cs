using Trainer.Models;

namespace Trainer.Engine.Fast.Bench;

/// <summary>What to measure.</summary>
public sealed record BenchOptions
{
    /// <summary>The model: a folder (any family), usually one that <see cref="RandomModelFolder"/> wrote.</summary>
    public required string Folder { get; init; }

    /// <summary>Where cores are simulated: a folder with the whole head, where <see cref="Folder"/> has a short one; null where that one is whole.</summary>
    public string? HeadFolder { get; init; }

    /// <summary>Rows in a batch.</summary>
    public int Batch { get; init; } = 1;

    /// <summary>Tokens in a row.</summary>
    public int Sequence { get; init; } = 512;

    /// <summary>Adapter rank, on every linear of the layers.</summary>
    public required int Rank { get; init; }

    /// <summary>Probability with which the adapters drop an element of their input.</summary>
    public double Dropout { get; init; }

    /// <summary>Busy loops beside which the steps are measured once more; 0 for none.</summary>
    public int Beside { get; init; }

    /// <summary>Steps measured after a first one that warms up; 0 measures the first.</summary>
    public int Steps { get; init; } = 3;

    /// <summary>Keep layer inputs only and recompute.</summary>
    public bool Checkpointing { get; init; } = true;

    /// <summary>Stream the layers' weights from the mapped file.</summary>
    public bool Stream { get; init; }

    /// <summary>With <see cref="Stream"/>: bytes that layers and head may take; null is the least possible.</summary>
    public long? StreamBytes { get; init; }

    /// <summary>With <see cref="Stream"/>: how the files are read.</summary>
    public StreamReads StreamReads { get; init; } = StreamReads.Auto;

    /// <summary>Which engine.</summary>
    public EngineKind Engine { get; init; } = EngineKind.Fast;

    /// <summary>Type of the frozen products.</summary>
    public ComputeKind Compute { get; init; } = ComputeKind.Auto;

    /// <summary>How weights that the folder holds unquantized are held.</summary>
    public QuantizeKind Quantize { get; init; } = QuantizeKind.None;
}
