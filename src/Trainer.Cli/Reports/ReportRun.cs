namespace Trainer.Cli.Reports;

/// <summary>One run as the report page reads it; serialized in snake_case.</summary>
internal sealed record ReportRun
{
    public required string Name { get; init; }
    public IReadOnlyList<double[]> Steps { get; init; } = [];
    public IReadOnlyList<double[]> Evals { get; init; } = [];
    public IReadOnlyList<ReportMeasure> Measured { get; init; } = [];
    public IReadOnlyList<ReportSample> Samples { get; init; } = [];
    public IReadOnlyList<string[]> Settings { get; init; } = [];
    public IReadOnlyList<string[]> Facts { get; init; } = [];
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>Counts of rows by length: pairs of upper bound in tokens and rows.</summary>
    public IReadOnlyList<double[]> Lengths { get; init; } = [];

    /// <summary>Why the run ended, or null while it goes on.</summary>
    public string? Ended { get; init; }

    public int MaxSteps { get; init; }
}
