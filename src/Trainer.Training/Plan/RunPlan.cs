namespace Trainer.Training.Plan;

/// <summary>What a run would do and need.</summary>
public sealed record RunPlan
{
    /// <summary>Rows trained on; null without data.</summary>
    public long? Rows { get; init; }

    /// <summary>Tokens of one pass.</summary>
    public long? Tokens { get; init; }

    /// <summary>Of which carry loss.</summary>
    public long? TrainedTokens { get; init; }

    /// <summary>Rows left out.</summary>
    public long? DroppedRows { get; init; }

    /// <summary>Held-out rows.</summary>
    public long? EvalRows { get; init; }

    /// <summary>Tokens of the longest row.</summary>
    public int? LongestRow { get; init; }

    /// <summary>Whether the rows were found tokenized; null without data.</summary>
    public bool? IsFromCache { get; init; }

    /// <summary>Share of the bins that holds tokens; null without packing.</summary>
    public double? PackingEfficiency { get; init; }

    /// <summary>Optimizer steps of one pass.</summary>
    public long? StepsPerEpoch { get; init; }

    /// <summary>Optimizer steps of the run; null where neither data nor --max-steps tells.</summary>
    public long? TotalSteps { get; init; }

    /// <summary>Tokens of the largest micro-batch: what the memory below is for.</summary>
    public required long MicroBatchTokens { get; init; }

    /// <summary>Parameters of the base.</summary>
    public required long BaseParameters { get; init; }

    /// <summary>Parameters that are trained.</summary>
    public required long TrainableParameters { get; init; }

    /// <summary>How much of each kind of module is trained.</summary>
    public IReadOnlyList<Models.Drawing.TrainedShare> TrainedShares { get; init; } = [];

    /// <summary>Whether layers are recomputed in the backward pass; decided here where the option says auto.</summary>
    public required bool GradientCheckpointing { get; init; }

    /// <summary>Whether the base is streamed from its mapped folder; decided here where the option says auto.</summary>
    public bool Stream { get; init; }

    /// <summary>Bytes that the streamed layers and head may take, where <c>--max-memory</c> leaves more than the smallest window needs; else null.</summary>
    public long? StreamBytes { get; init; }

    /// <summary>Micro-batches of a step that each streamed layer is read once for; decided here where the option says nothing.</summary>
    public int StreamMicroBatches { get; init; } = 1;

    /// <summary>Memory by part.</summary>
    public required IReadOnlyList<MemoryPart> Memory { get; init; }

    /// <summary>The buffers of a micro-step by name, all layers together; empty where the reference engine computes it.</summary>
    public IReadOnlyList<MemoryPart> Buffers { get; init; } = [];

    /// <summary>Sum of the parts.</summary>
    public long PeakBytes => Memory.Sum(part => part.Bytes);

    /// <summary>The limit it is held against: <c>--max-memory</c>, or what the machine has; of several ranks on a machine, the share of one.</summary>
    public required long MemoryLimitBytes { get; init; }

    /// <summary>The device that has memory of its own, as the user named it; null where the processor computes.</summary>
    public string? Device { get; init; }

    /// <summary>The device's memory by part; empty where the processor computes.</summary>
    public IReadOnlyList<MemoryPart> DeviceMemory { get; init; } = [];

    /// <summary>Sum of those parts.</summary>
    public long DevicePeakBytes => DeviceMemory.Sum(part => part.Bytes);

    /// <summary>The limit it is held against: <c>--device-memory</c>, or what the device has; null where nobody tells.</summary>
    public long? DeviceLimitBytes { get; init; }

    /// <summary>The machine, and the ranks of the run that divide its memory.</summary>
    public MemoryShare Share { get; init; } = MemoryShare.Here;

    /// <summary>Bytes of <see cref="PeakBytes"/> that ranks of one machine hold together: pages of a base that is mapped as it lies on disk.</summary>
    public long SharedBytes { get; init; }

    /// <summary>What all ranks of a machine hold.</summary>
    public long MachinePeakBytes => SharedBytes + Share.Ranks * (PeakBytes - SharedBytes);

    /// <summary>Bytes of one checkpoint, the optimizer's state included.</summary>
    public long CheckpointBytes { get; init; }

    /// <summary>What comes onto disks: checkpoints, a 4-bit folder that is not made yet, weights that are not here yet.</summary>
    public required IReadOnlyList<MemoryPart> Disk { get; init; }

    /// <summary>Sum of the parts, the temporary copy of a checkpoint included.</summary>
    public long DiskBytes => Disk.Sum(part => part.Bytes);

    /// <summary>Whether each disk that is written to has room for what comes onto it.</summary>
    public required bool DiskSuffices { get; init; }

    /// <summary>What this machine's disk has no room for where the weights are not here, in words; else null.</summary>
    public string? DiskNote { get; init; }

    /// <summary>Bytes free where the run folder lies; null where the system does not tell.</summary>
    public long? DiskFreeBytes { get; init; }

    /// <summary>Seconds of one measured micro-step at the largest micro-batch, or null.</summary>
    public double? MicroStepSeconds { get; init; }

    /// <summary>Seconds of a mean optimizer step, or null where not measured.</summary>
    public double? StepSeconds { get; init; }

    /// <summary>Seconds of the whole run by the measured micro-step, scaled by tokens, evaluations and checkpoints included; null where not measured.</summary>
    public double? Seconds { get; init; }

    /// <summary>Those seconds by part; empty where they were not measured.</summary>
    public IReadOnlyList<TimePart> Time { get; init; } = [];

    /// <summary>What several ranks would make of it, where they were asked for.</summary>
    public RankPlan? Ranks { get; init; }

    /// <summary>Whether memory suffices, the machine's and the device's.</summary>
    public bool FitsMemory => PeakBytes <= MemoryLimitBytes && !(DevicePeakBytes > DeviceLimitBytes);

    /// <summary>Whether memory and disk suffice.</summary>
    public bool Fits => FitsMemory && DiskSuffices;

    /// <summary>What another plan needs of that which this one lacks.</summary>
    internal long Wanting(RunPlan other) => PeakBytes > MemoryLimitBytes ? other.PeakBytes : FitsMemory ? other.DiskBytes : other.DevicePeakBytes;

    /// <summary>One sentence: whether it fits, and what would.</summary>
    public required string Verdict { get; init; }

    /// <summary>Where it does not fit, up to three changes, the cheapest first.</summary>
    public IReadOnlyList<PlanChange> Changes { get; init; } = [];
}
