namespace Trainer.Tokenizers.Files;

/// <summary>
/// The special tokens that a class of transformers has where no file names them: its constructor's defaults (models/*/tokenization_*.py, the same in
/// versions 4 and 5). Classes that have none, such as PreTrainedTokenizerFast, are not listed.
/// </summary>
internal static class ClassTokens
{
    private static readonly Dictionary<string, string> Sentences = new()
    {
        ["bos_token"] = "<s>", ["eos_token"] = "</s>", ["unk_token"] = "<unk>",
    };

    private static readonly Dictionary<string, string> Padded = new(Sentences) { ["pad_token"] = "<pad>" };

    private static readonly Dictionary<string, string> Classified = new(Padded) { ["sep_token"] = "</s>", ["cls_token"] = "<s>" };

    private static readonly Dictionary<string, string> Documents = new()
    {
        ["bos_token"] = "<|endoftext|>", ["eos_token"] = "<|endoftext|>", ["unk_token"] = "<|endoftext|>",
    };

    private static readonly Dictionary<string, string> Words = new()
    {
        ["unk_token"] = "[UNK]", ["sep_token"] = "[SEP]", ["pad_token"] = "[PAD]", ["cls_token"] = "[CLS]", ["mask_token"] = "[MASK]",
    };

    private static readonly Dictionary<string, string> Answers = new() { ["eos_token"] = "</s>", ["unk_token"] = "<unk>", ["pad_token"] = "<pad>" };

    private static readonly Dictionary<string, Dictionary<string, string>> Classes = new()
    {
        ["Llama"] = Sentences, ["CodeLlama"] = Sentences,
        ["Bloom"] = Padded,
        ["Gemma"] = new() { ["bos_token"] = "<bos>", ["eos_token"] = "<eos>", ["unk_token"] = "<unk>", ["pad_token"] = "<pad>" },
        ["Cohere"] = new() { ["bos_token"] = "<BOS_TOKEN>", ["eos_token"] = "<|END_OF_TURN_TOKEN|>", ["unk_token"] = "<UNK>" },
        ["GPT2"] = Documents, ["GPTNeoX"] = Documents, ["CodeGen"] = Documents,
        ["Qwen2"] = new() { ["eos_token"] = "<|endoftext|>", ["unk_token"] = "<|endoftext|>", ["pad_token"] = "<|endoftext|>" },
        ["T5"] = Answers, ["MT5"] = Answers, ["Pegasus"] = Answers,
        ["XLMRoberta"] = Classified, ["Roberta"] = Classified, ["Bart"] = Classified, ["XGLM"] = Classified,
        ["Bert"] = Words, ["DistilBert"] = Words, ["Electra"] = Words,
    };

    /// <summary>The token of a role by the default of a class, or null.</summary>
    /// <param name="name">The class, such as <c>LlamaTokenizerFast</c>; null for none.</param>
    /// <param name="role">The role, such as <c>bos_token</c>.</param>
    public static string? Of(string? name, string role)
    {
        const string End = "Tokenizer";
        name = name?.Replace("Fast", "", StringComparison.Ordinal);
        return name is not null && name.EndsWith(End, StringComparison.Ordinal) && Classes.TryGetValue(name[..^End.Length], out var tokens)
            ? tokens.GetValueOrDefault(role) : null;
    }
}
