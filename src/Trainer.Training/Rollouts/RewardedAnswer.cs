using System.Text.Json;
using Trainer.Data;

namespace Trainer.Training.Rollouts;

/// <summary>An answer that programs are to reward.</summary>
/// <param name="Source">The row's file and line.</param>
/// <param name="Row">The row with all its columns.</param>
/// <param name="Prompt">What was asked, as the model read it.</param>
/// <param name="Text">The answer.</param>
/// <param name="Tokens">Its tokens.</param>
/// <param name="IsTruncated">Whether it was cut at its most tokens.</param>
public sealed record RewardedAnswer(RowSource Source, JsonElement Row, string Prompt, string Text, int Tokens, bool IsTruncated);
