namespace Trainer.Engine.Generation;

/// <summary>How the next token is chosen. The steps are taken in this order: repetition penalty, temperature, top-k, top-p, min-p.</summary>
public sealed record SamplingOptions
{
    /// <summary>Tokens to generate at most.</summary>
    public int MaxTokens { get; init; } = 256;

    /// <summary>Divisor of logits; 0 takes the likeliest token (greedy).</summary>
    public double Temperature { get; init; }

    /// <summary>Keep the k likeliest tokens; 0 keeps all.</summary>
    public int TopK { get; init; }

    /// <summary>Keep the smallest set of likeliest tokens whose probability reaches this; 1 keeps all.</summary>
    public double TopP { get; init; } = 1;

    /// <summary>Keep tokens with at least this share of the likeliest token's probability; 0 keeps all.</summary>
    public double MinP { get; init; }

    /// <summary>Positive logits of tokens already seen are divided by it, negative ones multiplied (arXiv 1909.05858); 1 is off.</summary>
    public double RepetitionPenalty { get; init; } = 1;

    /// <summary>Seed of the draws.</summary>
    public int Seed { get; init; } = 42;

    /// <summary>Ids that end the text; null takes those of config.json and generation_config.json.</summary>
    public IReadOnlyList<int>? StopIds { get; init; }
}
