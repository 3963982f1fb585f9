using Trainer.Tokenizers;

namespace Trainer.Data.Rows;

/// <summary>What turns rows into tokens.</summary>
/// <param name="Tokenizer">The tokenizer, or a stand-in where there is none.</param>
/// <param name="Chat">The chat template, or null.</param>
/// <param name="Vocabulary">Ids the model knows, or null where only the tokenizer says.</param>
internal sealed record TextTools(ITextEncoder Tokenizer, IChatRenderer? Chat = null, int? Vocabulary = null)
{
    /// <param name="tokenizer">The tokenizer, or null.</param>
    /// <param name="vocabulary">Ids the model knows, or null.</param>
    /// <param name="eos">What ends a text; null takes the tokenizer's own.</param>
    public static TextTools Of(HfTokenizer? tokenizer, int? vocabulary, int? eos = null) =>
        new(tokenizer is null ? new NoTokenizer(vocabulary ?? int.MaxValue) : new HfTextEncoder(tokenizer, eos ?? tokenizer.EosId), null, vocabulary);

    public RowEncoder Encoder(DataOptions options, bool heldOut = false) => new(Tokenizer, Chat, options, Vocabulary, heldOut);
}
