namespace Trainer.Models.Parts;

/// <summary>Chooses experts for each token, described by data.</summary>
public sealed record RouterConfig
{
    /// <summary>Name below the block of the router's tensors, which end in <c>.weight</c> and <c>.bias</c>.</summary>
    public string Name { get; init; } = "gate";

    /// <summary>Name below it of the weight.</summary>
    public string WeightName { get; init; } = "weight";

    /// <summary>The input is divided by its root mean square and the root of the width and multiplied by a stored vector, NAME.scale.</summary>
    public bool HasNorm { get; init; }

    /// <summary>Each expert's score is multiplied by a stored number in the end, NAME.per_expert_scale.</summary>
    public bool HasExpertScales { get; init; }

    /// <summary>How logits become scores.</summary>
    public RouterScores Scores { get; init; }

    /// <summary>Experts a token is sent to.</summary>
    public required int Chosen { get; init; }

    /// <summary>The scores of the chosen are divided by their sum.</summary>
    public bool IsNormalized { get; init; }

    /// <summary>Multiplier of the scores in the end.</summary>
    public double Scale { get; init; } = 1;

    /// <summary>The router has a bias.</summary>
    public bool HasBias { get; init; }

    /// <summary>A stored correction is added to the scores for the choice alone, not for the weights.</summary>
    public bool HasCorrection { get; init; }

    /// <summary>Path of the correction below the block; null for the router's own e_score_correction_bias.</summary>
    public string? CorrectionName { get; init; }

    /// <summary>Added to the sum that the scores of the chosen are divided by.</summary>
    public double LeastSum { get; init; } = 1e-20;

    /// <summary>Groups of neighbouring experts; a token is sent to some of them only.</summary>
    public int Groups { get; init; } = 1;

    /// <summary>Groups a token is sent to, those whose two best experts score highest together.</summary>
    public int ChosenGroups { get; init; } = 1;

    /// <summary>Multiplier of the term in the training loss that asks all experts to be used alike; 0 leaves it out.</summary>
    public double BalanceLoss { get; init; }

    /// <summary>The score multiplies the expert's input, not its output.</summary>
    public bool ScalesInput { get; init; }
}
