namespace Trainer.Training.Objectives;

/// <summary>How answers are made up, rewarded and learnt from; names and defaults as TRL has them.</summary>
public sealed record GrpoOptions
{
    /// <summary>Programs that say how good answers are, each a line for the shell.</summary>
    public IReadOnlyList<string> RewardCommands { get; init; } = [];

    /// <summary>A weight for each program; empty is 1 each.</summary>
    public IReadOnlyList<double> RewardWeights { get; init; } = [];

    /// <summary>How long a program may take for an answer.</summary>
    public TimeSpan RewardTimeout { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>Answers to each prompt: a group.</summary>
    public int NumGenerations { get; init; } = 8;

    /// <summary>Most tokens of an answer.</summary>
    public int MaxCompletionLength { get; init; } = 256;

    /// <summary>Divisor of logits while answers are made up and while they are learnt from.</summary>
    public double Temperature { get; init; } = 1;

    /// <summary>Smallest share of the likeliest tokens to draw from.</summary>
    public double TopP { get; init; } = 1;

    /// <summary>Likeliest tokens to draw from; 0 is all.</summary>
    public int TopK { get; init; }

    /// <summary>Least share of the likeliest token's probability to be drawn.</summary>
    public double MinP { get; init; }

    /// <summary>Penalty of tokens already seen; 1 is none.</summary>
    public double RepetitionPenalty { get; init; } = 1;

    /// <summary>Optimizer steps made with the same answers.</summary>
    public int NumIterations { get; init; } = 1;

    /// <summary>How far a ratio may fall below 1, and rise above it unless <see cref="EpsilonHigh"/> says otherwise, and still count.</summary>
    public double Epsilon { get; init; } = 0.2;

    /// <summary>How far a ratio may rise above 1 and still count; null is <see cref="Epsilon"/>.</summary>
    public double? EpsilonHigh { get; init; }

    /// <summary>What a ratio is of: token (GRPO) or sequence (GSPO).</summary>
    public string ImportanceLevel { get; init; } = "token";

    /// <summary>What advantages are divided by: the standard deviation of the group, of the batch, or nothing.</summary>
    public string ScaleRewards { get; init; } = "group";

    /// <summary>Whether answers that were cut by their length are left out of the loss.</summary>
    public bool MaskTruncated { get; init; }
}
