namespace Trainer.Models.Config;

/// <summary>How rotary frequencies are scaled for long contexts.</summary>
public enum RopeKind
{
    /// <summary>Not scaled.</summary>
    Default,
    /// <summary>Divided by the factor.</summary>
    Linear,
    /// <summary>The base grows with the sequence (NTK-aware).</summary>
    Dynamic,
    /// <summary>Llama 3.1's three bands.</summary>
    Llama3,
    /// <summary>YaRN (arXiv 2309.00071).</summary>
    Yarn,
    /// <summary>LongRoPE (arXiv 2402.13753): a factor for each frequency, short and long.</summary>
    LongRope,
    /// <summary>A share of the pairs of a whole head is turned, with the frequencies of the whole; the rest stands still.</summary>
    Proportional,
}
