namespace Trainer.Tokenizers.PreTokenizers;

/// <summary>Where Metaspace puts its mark in front.</summary>
internal enum PrependScheme
{
    /// <summary>Nowhere.</summary>
    Never,

    /// <summary>Before the piece at the very beginning of the input.</summary>
    First,

    /// <summary>Before every piece between added tokens.</summary>
    Always,
}
