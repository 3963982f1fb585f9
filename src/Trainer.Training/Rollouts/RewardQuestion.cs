using System.Text.Encodings.Web;
using System.Text.Json;

namespace Trainer.Training.Rollouts;

/// <summary>What a reward program reads of an answer: one line of JSON.</summary>
internal static class RewardQuestion
{
    private static readonly JsonSerializerOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <param name="completion">The answer.</param>
    /// <param name="prompt">What was asked, as the model read it.</param>
    /// <param name="truncated">Whether it was cut at its most tokens.</param>
    /// <param name="tokens">Its tokens.</param>
    /// <param name="row">The row with all its columns.</param>
    public static string Line(string completion, string prompt, bool truncated, int tokens, JsonElement row) =>
        JsonSerializer.Serialize(new { completion, prompt, truncated, tokens, row }, Plain);

    /// <summary>Refuses answers of which no program has anything to say.</summary>
    /// <param name="said">What each program said of each answer.</param>
    /// <param name="rows">The answers' rows.</param>
    /// <exception cref="RewardException">There is one.</exception>
    public static void RequireReward(IReadOnlyList<double?[]> said, IReadOnlyList<Data.RowSource> rows)
    {
        for (var i = 0; i < rows.Count; i++)
            if (said.All(rewards => rewards[i] is null))
                throw new RewardException($"no --reward-command has a reward for an answer to {rows[i]}: each says null; one of them must write a "
                    + "number", true);
    }
}
