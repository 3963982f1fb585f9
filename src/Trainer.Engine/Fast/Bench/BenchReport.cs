namespace Trainer.Engine.Fast.Bench;

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

    /// <summary>Rate of libtorch's BLAS at the step's shapes, whole fp32 matrices, in 10^9 operations a second: the better of a measurement before and one
    /// after.</summary>
    public required double CeilingGigaflops { get; init; }

    /// <summary>The same in the compute type, where that is not fp32.</summary>
    public required double? ComputeCeilingGigaflops { get; init; }

    /// <summary>Seconds of each measured step: forward, backward and optimizer.</summary>
    public required IReadOnlyList<double> StepSeconds { get; init; }

    /// <summary>The same beside the busy loops that were asked for; empty where none were.</summary>
    public required IReadOnlyList<double> BesideSeconds { get; init; }

    /// <summary>How many times as long the best step beside busy loops takes as the best one alone; null where none were asked for.</summary>
    public double? BesideRatio => BesideSeconds.Count == 0 ? null : BesideSeconds.Min() / StepSeconds.Min();

    /// <summary>What <see cref="BesideRatio"/> would be if every thread, ours and theirs, got as much time.</summary>
    public double FairRatio => Math.Max(1, (double)(Threads + Options.Beside) / Environment.ProcessorCount);

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

    /// <summary>Executed rate as a part of the multiply-add peak; 0 where that was not measured.</summary>
    public double PeakShare => PeakGigaflops == 0 ? 0 : ExecutedGigaflops / PeakGigaflops;

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

    /// <summary>The measurement in lines for a reader.</summary>
    public IEnumerable<string> Lines()
    {
        const double gib = 1L << 30;
        yield return Text($"shape {Shape.Name}  batch {Options.Batch} x {Options.Sequence}  rank {Options.Rank}  ")
            + Text($"checkpointing {(Options.Checkpointing ? "on" : "none")}  stream {(Options.Stream ? "on" : "off")}  ")
            + Text($"engine {Options.Engine}  compute {Options.Compute}");
        if (Streaming is { } streaming) yield return streaming;
        var narrow = ComputeCeilingGigaflops is { } ceiling ? Text($" in float32, {ceiling:0.0} in {Options.Compute.ToString().ToLowerInvariant()}") : "";
        yield return Text($"threads {Threads}  kernels {KernelWidth}  copy {CopyGigabytes:0.0} GB/s  multiply-add peak {PeakGigaflops:0.0} GFLOP/s  ")
            + Text($"product ceiling (BLAS) {CeilingGigaflops:0.0}{narrow} GFLOP/s");
        yield return Text($"step {string.Join(" ", StepSeconds.Select(seconds => Text($"{seconds:0.000}")))} s  tokens/s {TokensPerSecond:0.0}");
        yield return Text($"useful {UsefulOperations / 1e9:0.0} GFLOP at {UsefulGigaflops:0.0} GFLOP/s = {UsefulShare:0.000} of the ceiling");
        yield return Text($"executed {ExecutedOperations / 1e9:0.0} GFLOP at {ExecutedGigaflops:0.0} GFLOP/s = {ExecutedShare:0.000} of the ceiling")
            + (PeakGigaflops == 0 ? "" : Text($", {PeakShare:0.000} of the multiply-add peak"));
        if (BesideRatio is { } ratio)
            yield return Text($"beside {Options.Beside} busy loops {string.Join(" ", BesideSeconds.Select(seconds => Text($"{seconds:0.000}")))} s: ")
                + Text($"{ratio:0.00} times as long as alone (a fair share of {Environment.ProcessorCount} cores would be {FairRatio:0.00})");
        yield return Text($"peak RSS {PeakBytes / gib:0.00} GiB  resident {ResidentBytes / gib:0.00}  buffers {BufferBytes / gib:0.000}  ")
            + Text($"weights {WeightBytes / gib:0.00}  trainable {Parameters / 1e6:0.0} M");
        yield return Text($"loss {Loss.First:0.0000} -> {Loss.Last:0.0000}  tensors without gradient {WithoutGradient.Count}");
        yield return "seconds a step: " + string.Join("  ", Parts.Select(part => Text($"{part.Part} {part.Seconds:0.000}")));
    }

    private static string Text(FormattableString text) => FormattableString.Invariant(text);
}
