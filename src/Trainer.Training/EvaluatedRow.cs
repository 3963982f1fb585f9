using Trainer.Data;

namespace Trainer.Training;

/// <summary>One row of an evaluation.</summary>
/// <param name="Source">Its file and line.</param>
/// <param name="Tokens">Its tokens.</param>
/// <param name="TrainedTokens">Of which carry loss.</param>
/// <param name="Loss">Mean over these; NaN where there are none.</param>
/// <param name="TokenLosses">Loss with which position t predicts token t + 1, length <paramref name="Tokens"/>, null where that carries none; null where not
/// asked for.</param>
public sealed record EvaluatedRow(RowSource Source, int Tokens, int TrainedTokens, double Loss, float?[]? TokenLosses);
