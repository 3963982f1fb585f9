namespace Trainer.Data.Rows;

/// <summary>Stands in where the model folder has no tokenizer: rows of ids work, rows of text are refused.</summary>
internal sealed class NoTokenizer(int vocabularySize) : ITextEncoder
{
    public int VocabularySize => vocabularySize;
    public int? BosId => null;
    public int? EosId => null;
    public string? EosToken => null;
    public string ContentHash => $"none {vocabularySize}";

    public (int[] Ids, (int Start, int End)[] Offsets) Encode(string text, bool addSpecialTokens) =>
        throw new DataException("the model has no tokenizer, and the data is text: name a folder with tokenizer files (--tokenizer DIR), or give rows of "
        + "input_ids");

    public string Decode(ReadOnlySpan<int> ids) => string.Join(' ', ids.ToArray());

    public bool IsSpecial(int id) => false;

    public bool IsBlank(int id) => false;
}
