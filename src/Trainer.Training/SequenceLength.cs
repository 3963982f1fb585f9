using Trainer.Models;
using Trainer.Models.Config;
using Trainer.Models.Families;

namespace Trainer.Training;

/// <summary>Whether the sequence length asked for is one that the model knows.</summary>
public static class SequenceLength
{
    /// <summary>A sentence where rows may be longer than the positions that the model was trained on, else null.</summary>
    /// <param name="options">Model and length.</param>
    /// <exception cref="ModelException">config.json cannot be read.</exception>
    public static string? Warning(TrainingOptions options)
    {
        var config = ConfigLoader.Load(options.ModelDirectory);
        // These kinds stretch positions beyond max_position_embeddings by their factor; the others' configurations name the stretched number.
        var factor = config.Ropes.Select(rope => rope.Kind is RopeKind.Linear or RopeKind.Dynamic or RopeKind.Yarn ? rope.Factor ?? 1 : 1).DefaultIfEmpty(1)
            .Max();
        if (options.Data.MaxSeqLength <= config.MaxPositions * factor) return null;
        return $"--max-seq-length {options.Data.MaxSeqLength} is above the {config.MaxPositions} positions of '{options.Model}': what a row has beyond them "
            + "is computed on positions that the model was never trained on; lower it";
    }
}
