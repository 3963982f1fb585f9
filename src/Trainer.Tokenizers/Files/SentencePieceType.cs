namespace Trainer.Tokenizers.Files;

/// <summary>What a SentencePiece piece is for.</summary>
internal enum SentencePieceType
{
    /// <summary>Text.</summary>
    Normal = 1,

    /// <summary>Stands for letters no piece has.</summary>
    Unknown = 2,

    /// <summary>Never found in text: BOS, EOS.</summary>
    Control = 3,

    /// <summary>Always found in text as a whole.</summary>
    UserDefined = 4,

    /// <summary>Not to be used.</summary>
    Unused = 5,

    /// <summary>One byte.</summary>
    Byte = 6,
}
