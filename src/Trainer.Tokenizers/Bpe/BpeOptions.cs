namespace Trainer.Tokenizers.Bpe;

/// <summary>How a BPE model treats what its vocabulary does not hold.</summary>
internal sealed record BpeOptions
{
    /// <summary>Token of unknown letters; without it they vanish.</summary>
    public string? UnknownToken { get; init; }

    /// <summary>Unknown letters in a row become one token.</summary>
    public bool FuseUnknown { get; init; }

    /// <summary>Unknown letters become tokens of their UTF-8 bytes.</summary>
    public bool ByteFallback { get; init; }

    /// <summary>A piece that is in the vocabulary as a whole is that token, whatever the merges say.</summary>
    public bool IgnoreMerges { get; init; }

    /// <summary>Stands before every letter of a piece but the first.</summary>
    public string ContinuingPrefix { get; init; } = "";

    /// <summary>Stands behind the last letter of a piece.</summary>
    public string EndSuffix { get; init; } = "";
}
