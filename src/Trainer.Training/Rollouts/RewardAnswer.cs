using System.Text.Json;

namespace Trainer.Training.Rollouts;

/// <summary>Reads what a reward program answers: a number, null where it has nothing to say, or an object with a <c>reward</c>.</summary>
internal static class RewardAnswer
{
    private const int MostShown = 60;

    /// <summary>The reward of a line; null where the program has nothing to say of the answer.</summary>
    /// <param name="line">One line.</param>
    /// <param name="reward">The reward.</param>
    /// <returns>Why the line is no reward, or null.</returns>
    public static string? Read(string line, out double? reward)
    {
        reward = null;
        try
        {
            using var document = JsonDocument.Parse(line);
            var answer = document.RootElement;
            if (answer.ValueKind == JsonValueKind.Object)
            {
                if (!answer.TryGetProperty("reward", out var named)) return $"answered {Shown(line)}, an object without 'reward'";
                answer = named;
            }
            if (answer.ValueKind == JsonValueKind.Null) return null;
            if (answer.ValueKind != JsonValueKind.Number) return $"answered {Shown(line)} where a number is meant";
            if (!answer.TryGetDouble(out var number) || !float.IsFinite((float)number)) return $"answered {Shown(line)}, which is no finite number";
            reward = number;
            return null;
        }
        catch (JsonException)
        {
            var word = line.Trim().TrimStart('-', '+').ToLowerInvariant();
            return $"answered {Shown(line)}{(word is "nan" or "inf" or "infinity" ? ", which is no finite number" : " where a number is meant")}";
        }
    }

    private static string Shown(string line) => line.Length == 0 ? "an empty line" : $"'{(line.Length <= MostShown ? line : line[..MostShown] + "...")}'";
}
