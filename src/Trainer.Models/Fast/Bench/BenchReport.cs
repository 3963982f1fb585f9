namespace Trainer.Models.Fast;

/// <summary>One measurement, ceilings and achievement side by side.</summary>
public sealed record BenchReport
{
    /// <summary>The model's sizes.</summary>
    public required ModelShape Shape { get; init; }

    /// <summary>What was measured.</summary>
    public required BenchOptions Options { get; init; }

    /// <summary>How the base was read while it computed; null where it was held.</summary>
    public required string? Streaming { get; init; }

    /// <summary>Compute threads.</summary>
    public required int Threads { get; init; }

    /// <summary>Width of our own kernels.</summary>
    public required string KernelWidth { get; init; }

    /// <summary>Bytes copied a second by memcpy, in 10^9, all threads.</summary>
    public required double CopyGigabytes { get; init; }

    /// <summary>Multiply-add rate of all threads on operands in the first-level cache, in 10^9 operations a second (0 where it was not measured).</summary>
    public required double PeakGigaflops { get; init; }

    /// <summary>Rate of libtorch's BLAS at the step's shapes, whole fp32 matrices, in 10^9 operations a second: the better of a measurement before and one after.</summary>
    public required double CeilingGigaflops { get; init; }

    /// <summary>The same in the compute type, where that is not fp32.</summary>
    public required double? ComputeCeilingGigaflops { get; init; }

    /// <summary>Seconds of each measured step: forward, backward and optimizer.</summary>
    public required IReadOnlyList<double> StepSeconds { get; init; }

    /// <summary>Tokens a second of the best step.</summary>
    public required double TokensPerSecond { get; init; }

    /// <summary>Useful operations of a step: 2N forward and 2N backward a token, head at trained tokens, attention; no recomputation, no adapters.</summary>
    public required double UsefulOperations { get; init; }

    /// <summary>Executed operations of a step (0 where the engine does not count).</summary>
    public required double ExecutedOperations { get; init; }

    /// <summary>Useful rate of the best step in 10^9 a second.</summary>
    public double UsefulGigaflops => UsefulOperations / StepSeconds.Min() / 1e9;

    /// <summary>Executed rate of the best step in 10^9 a second.</summary>
    public double ExecutedGigaflops => ExecutedOperations / StepSeconds.Min() / 1e9;

    /// <summary>Useful rate as a part of the ceiling.</summary>
    public double UsefulShare => UsefulGigaflops / CeilingGigaflops;

    /// <summary>Executed rate as a part of the ceiling.</summary>
    public double ExecutedShare => ExecutedGigaflops / CeilingGigaflops;

    /// <summary>Largest resident bytes of the process up to the end.</summary>
    public required long PeakBytes { get; init; }

    /// <summary>Resident bytes after the last step.</summary>
    public required long ResidentBytes { get; init; }

    /// <summary>Resident bytes after each step, the first one included.</summary>
    public required IReadOnlyList<long> ResidentAfterSteps { get; init; }

    /// <summary>Bytes of the engine's buffers, known before the run (0 for the reference engine).</summary>
    public required long BufferBytes { get; init; }

    /// <summary>Bytes of the base's matrices.</summary>
    public required long WeightBytes { get; init; }

    /// <summary>Trainable values.</summary>
    public required long Parameters { get; init; }

    /// <summary>Mean token loss of the first and the last step.</summary>
    public required (double First, double Last) Loss { get; init; }

    /// <summary>Adapter tensors whose gradient was all 0 in the last step; must be empty.</summary>
    public required IReadOnlyList<string> WithoutGradient { get; init; }

    /// <summary>Seconds a step by part; what is left of a step is under <c>other</c>.</summary>
    public required IReadOnlyList<(string Part, double Seconds)> Parts { get; init; }
}
