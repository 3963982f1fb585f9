using System.Text.Json;

namespace Trainer.Checkpoints.Gguf;

/// <summary>
/// The name that llama.cpp has for the way a byte-level tokenizer.json splits text. llama.cpp carries its own splitters and finds them by name;
/// one that it would split otherwise is refused.
/// </summary>
internal static class GgufSplitter
{
    private const string Contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)", Letters = @"|[^\r\n\p{L}\p{N}]?\p{L}+|",
        Rest = @"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private const string Upper = @"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", Lower = @"[\p{Ll}\p{Lm}\p{Lo}\p{M}]",
        CaseRest = @"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    // Qwen 3.5: marks belong to words.
    private const string MarkedWords = Contractions + @"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private const string ByteLevel = "bytes", ByteLevelWords = "words", Digits = "digits";

    /// <summary>The name.</summary>
    /// <param name="path">The tokenizer.json, for the fault.</param>
    /// <param name="root">Its root.</param>
    /// <param name="modelType">model_type of config.json.</param>
    /// <exception cref="BadFileException">llama.cpp has no name for it here.</exception>
    internal static string NameOf(string path, JsonElement root, string modelType)
    {
        string[] steps = root.TryGetProperty("pre_tokenizer", out var splitter) ? [.. Steps(splitter)] : [];
        var ignoresMerges = root.GetProperty("model").TryGetProperty("ignore_merges", out var ignores) && ignores.ValueKind == JsonValueKind.True;
        return steps switch
        {
            [Contractions + Letters + @"\p{N}{1,3}" + Rest, ByteLevel] => ignoresMerges ? "llama-bpe" : "smaug-bpe",
            [Contractions + Letters + @"\p{N}" + Rest, ByteLevel] => "qwen2",
            [MarkedWords, ByteLevel] => "qwen35",
            [@"[^\r\n\p{L}\p{N}]?" + Upper + "*" + Lower + @"+|[^\r\n\p{L}\p{N}]?" + Upper + "+" + Lower + @"*|\p{N}" + CaseRest, ByteLevel] => "tekken",
            [@"[^\r\n\p{L}\p{N}]?" + Upper + "*" + Lower + "+" + Contractions + @"?|[^\r\n\p{L}\p{N}]?" + Upper + "+" + Lower + "*" + Contractions
                + @"?|\p{N}{1,3}" + CaseRest, ByteLevel] => "gpt-4o",
            // One splitter under the names of those who brought it.
            [Digits, ByteLevelWords] => modelType switch { "granite" => "refact", "starcoder2" => "starcoder", "cohere" or "cohere2" => "command-r",
                _ => "smollm" },
            [ByteLevelWords] => "gpt-2",
            _ => throw new BadFileException($"the tokenizer '{path}' splits text in a way that has no name in llama.cpp here; export the adapter alone and "
                + "convert the base with llama.cpp"),
        };
    }

    /// <summary>Splitting by byte-level BPE's own words.</summary>
    internal const string Words = ByteLevelWords;

    /// <summary>The same behind single digits.</summary>
    internal const string DigitsThenWords = Digits;

    /// <summary>What a name means: the pattern, or one of the two constants; whether whole words are looked up before merges; whether a text begins with the
    /// begin token where the file is silent. Null for a name that is not read.</summary>
    internal static (string Pattern, bool IgnoresMerges, bool Begins)? PatternOf(string name) => name switch
    {
        "llama-bpe" or "llama3" or "llama-v3" => (Contractions + Letters + @"\p{N}{1,3}" + Rest, true, true),
        "smaug-bpe" or "dbrx" => (Contractions + Letters + @"\p{N}{1,3}" + Rest, false, false),
        "qwen2" or "deepseek-r1-qwen" => (Contractions + Letters + @"\p{N}" + Rest, false, false),
        "qwen35" => (MarkedWords, false, false),
        "tekken" => (@"[^\r\n\p{L}\p{N}]?" + Upper + "*" + Lower + @"+|[^\r\n\p{L}\p{N}]?" + Upper + "+" + Lower + @"*|\p{N}" + CaseRest, true, true),
        "gpt-4o" => (@"[^\r\n\p{L}\p{N}]?" + Upper + "*" + Lower + "+" + Contractions + @"?|[^\r\n\p{L}\p{N}]?" + Upper + "+" + Lower + "*" + Contractions
            + @"?|\p{N}{1,3}" + CaseRest, false, false),
        "smollm" or "refact" or "starcoder" or "command-r" or "codeshell" or "exaone" or "minerva-7b" => (DigitsThenWords, false, false),
        "gpt-2" or "phi-2" or "olmo" or "mpt" or "jais" or "roberta-bpe" => (Words, false, false),
        _ => null,
    };

    private static IEnumerable<string> Steps(JsonElement splitter)
    {
        if (splitter.ValueKind != JsonValueKind.Object) return [];
        bool Flag(string key, bool otherwise) => splitter.TryGetProperty(key, out var value)
            && value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : otherwise;
        return Text(splitter, "type") switch
        {
            "Sequence" when splitter.TryGetProperty("pretokenizers", out var inner) => inner.EnumerateArray().SelectMany(Steps),
            "Split" when splitter.TryGetProperty("pattern", out var pattern) =>
                [Flag("invert", false) ? "inverted" : Text(pattern, "Regex") ?? "plain text"],
            "Digits" when Flag("individual_digits", false) => [Digits],
            // llama.cpp never puts a blank in front of byte-level text.
            "ByteLevel" when !Flag("add_prefix_space", true) => [Flag("use_regex", true) ? ByteLevelWords : ByteLevel],
            var other => [other ?? ""],
        };
    }

    private static string? Text(JsonElement element, string key)
        => element.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
