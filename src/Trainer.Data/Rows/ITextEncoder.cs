namespace Trainer.Data.Rows;

/// <summary>What rows need of a tokenizer. Safe to call from several threads.</summary>
internal interface ITextEncoder
{
    int VocabularySize { get; }
    int? BosId { get; }
    int? EosId { get; }
    string? EosToken { get; }

    /// <summary>Hex digest of everything that decides ids.</summary>
    string ContentHash { get; }

    /// <summary>Ids and, for each, its range of UTF-16 characters (empty for tokens that stand for no text).</summary>
    (int[] Ids, (int Start, int End)[] Offsets) Encode(string text, bool addSpecialTokens);

    /// <summary>The text of ids, control tokens included.</summary>
    string Decode(ReadOnlySpan<int> ids);

    /// <summary>Whether the id is a control token, such as an end of turn.</summary>
    bool IsSpecial(int id);

    /// <summary>Whether the token stands for white space alone.</summary>
    bool IsBlank(int id);
}
