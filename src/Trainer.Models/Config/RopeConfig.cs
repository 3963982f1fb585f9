namespace Trainer.Models.Config;

/// <summary>One rotary embedding, as config.json describes it.</summary>
public sealed record RopeConfig
{
    /// <summary>The kind of scaling.</summary>
    public RopeKind Kind { get; init; }

    /// <summary>Base of the frequencies, rope_theta.</summary>
    public double Theta { get; init; } = 10000;

    /// <summary>Rotated elements of a head (even); the rest pass unrotated.</summary>
    public int Dimensions { get; init; }

    /// <summary>Neighbours (2i, 2i + 1) are turned together, not halves (i, i + dimensions / 2).</summary>
    public bool IsInterleaved { get; init; }

    /// <summary>Proportional: pairs that are turned.</summary>
    public int TurnedPairs { get; init; }

    /// <summary>Scaling factor, or null where the kind has none or derives it.</summary>
    public double? Factor { get; init; }

    /// <summary>max_position_embeddings of the model.</summary>
    public int MaxPositions { get; init; }

    /// <summary>Context length before scaling; 0 where the kind has none.</summary>
    public int OriginalMaxPositions { get; init; }

    /// <summary>Llama 3: the low band's divisor.</summary>
    public double LowFrequencyFactor { get; init; } = 1;

    /// <summary>Llama 3: the high band's divisor.</summary>
    public double HighFrequencyFactor { get; init; } = 4;

    /// <summary>YaRN and LongRoPE: multiplier of cosine and sine, or null to derive it.</summary>
    public double? AttentionFactor { get; init; }

    /// <summary>YaRN: fast boundary in rotations.</summary>
    public double BetaFast { get; init; } = 32;

    /// <summary>YaRN: slow boundary in rotations.</summary>
    public double BetaSlow { get; init; } = 1;

    /// <summary>YaRN: mscale, or null.</summary>
    public double? Mscale { get; init; }

    /// <summary>YaRN: mscale_all_dim, or null.</summary>
    public double? MscaleAllDimensions { get; init; }

    /// <summary>YaRN: whether the correction range is rounded to whole dimensions.</summary>
    public bool Truncate { get; init; } = true;

    /// <summary>LongRoPE: factors up to the original context, length dimensions / 2.</summary>
    public IReadOnlyList<double> ShortFactors { get; init; } = [];

    /// <summary>LongRoPE: factors beyond it.</summary>
    public IReadOnlyList<double> LongFactors { get; init; } = [];
}
