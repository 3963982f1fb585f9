namespace Trainer.Cli.Reports;

/// <summary>What an objective measured beside its loss, over a run.</summary>
/// <param name="Name">TRL's name of it.</param>
/// <param name="Steps">Pairs of step and value.</param>
/// <param name="Evals">Pairs of step and value, on held-out rows.</param>
internal sealed record ReportMeasure(string Name, IReadOnlyList<double[]> Steps, IReadOnlyList<double[]> Evals);
