using Trainer.Tokenizers;

namespace Trainer.Data.Rows;

/// <summary>What turns rows into tokens.</summary>
/// <param name="Tokenizer">The tokenizer, or a stand-in where there is none.</param>
/// <param name="Chat">The chat template, or null.</param>
/// <param name="Vocabulary">Ids the model knows, or null where only the tokenizer says.</param>
internal sealed record TextTools(ITextEncoder Tokenizer, IChatRenderer? Chat = null, int? Vocabulary = null)
{
    public static TextTools Of(HfTokenizer? tokenizer, int? vocabulary) =>
        new(tokenizer is null ? new NoTokenizer(vocabulary ?? int.MaxValue) : new HfTextEncoder(tokenizer), null, vocabulary);

    public RowEncoder Encoder(DataOptions options, bool heldOut = false) => new(Tokenizer, Chat, options, Vocabulary, heldOut);
}
