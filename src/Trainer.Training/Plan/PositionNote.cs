using Trainer.Models.Families;

namespace Trainer.Training.Plan;

/// <summary>What is said of rows that are longer than a model has positions: they are computed, at positions it never learnt.</summary>
public static class PositionNote
{
    /// <summary>The sentence, or null where all rows fit.</summary>
    /// <param name="modelDirectory">The model's folder.</param>
    /// <param name="longestRow">Tokens of the longest row.</param>
    public static string? Of(string modelDirectory, int longestRow)
    {
        var positions = ConfigLoader.Load(modelDirectory).Positions;
        return longestRow <= positions ? null
            : $"rows of up to {longestRow} tokens go beyond the {positions} positions that the model was made for: a loss there means little; lower "
                + $"--max-seq-length to {positions}";
    }
}
