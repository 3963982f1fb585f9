using Trainer.Data;

namespace Trainer.Training;

/// <summary>What an evaluation of preference data measured.</summary>
/// <param name="Loss">The objective's mean over rows.</param>
/// <param name="Metrics">What it measures beside that, by TRL's names.</param>
/// <param name="Tokens">Tokens read.</param>
/// <param name="TrainedTokens">Tokens of answers.</param>
/// <param name="Rows">Each row, in file order; empty where not asked for.</param>
public sealed record PreferenceResult(double Loss, IReadOnlyDictionary<string, double> Metrics, long Tokens, long TrainedTokens,
    IReadOnlyList<PreferenceRow> Rows)
{
    /// <summary>The same of the base without its adapter; null where there is none.</summary>
    public PreferenceResult? Base { get; init; }
}

/// <summary>One pair of an evaluation.</summary>
/// <param name="Source">Its file and line.</param>
/// <param name="Loss">Its loss.</param>
/// <param name="Metrics">What is measured of it.</param>
public sealed record PreferenceRow(RowSource Source, double Loss, IReadOnlyDictionary<string, double> Metrics);
