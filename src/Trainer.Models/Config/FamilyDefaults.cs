namespace Trainer.Models.Config;

/// <summary>What a family takes where config.json does not say.</summary>
internal sealed record FamilyDefaults
{
    /// <summary>Layers where other keys than num_hidden_layers tell them.</summary>
    public int? Layers { get; init; }

    public int? HiddenSize { get; init; }

    public int? IntermediateSize { get; init; }

    /// <summary>intermediate_size is a number for each layer, which the family reads.</summary>
    public bool WidthIsList { get; init; }

    public int? VocabularySize { get; init; }

    public int? Heads { get; init; }

    /// <summary>Null takes as many as query heads.</summary>
    public int? KvHeads { get; init; }

    /// <summary>The family's default is an arbitrary number, so config.json must say.</summary>
    public bool KvHeadsRequired { get; init; }

    /// <summary>Null divides the width by the heads.</summary>
    public int? HeadSize { get; init; }

    public bool Tied { get; init; }

    public string EpsilonKey { get; init; } = "rms_norm_eps";

    public double Epsilon { get; init; } = 1e-6;

    public double Theta { get; init; } = 10_000;

    /// <summary>Share of a head that is rotated (partial_rotary_factor); null where the family rotates whole heads and nothing else.</summary>
    public double? RotaryShare { get; init; }

    public string Activation { get; init; } = "silu";
}
