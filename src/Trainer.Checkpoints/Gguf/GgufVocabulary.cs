using System.Text.Json;

namespace Trainer.Checkpoints;

/// <summary>
/// The tokenizer of a model folder as GGUF metadata: byte-level BPE as "gpt2" with the pre-tokenizer's name in llama.cpp, byte-fallback BPE
/// (SentencePiece) as "llama" with scores. A tokenizer that llama.cpp would split otherwise is refused.
/// </summary>
public static class GgufVocabulary
{
    private const int Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6;

    private const string Contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|", Rest = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

    /// <summary>The metadata, keys tokenizer.*.</summary>
    /// <param name="folder">A model folder with tokenizer.json.</param>
    /// <param name="vocabularySize">Rows of the embedding; ids without a token are filled.</param>
    /// <exception cref="BadFileException">tokenizer.json is missing, damaged, or of a kind that has no place in GGUF here.</exception>
    public static IReadOnlyList<KeyValuePair<string, GgufValue>> Read(string folder, int vocabularySize)
    {
        string path = Path.Combine(folder, "tokenizer.json");
        try
        {
            using JsonDocument document = PythonJson.Parse(File.ReadAllBytes(path));
            return Read(folder, path, document.RootElement, vocabularySize);
        }
        catch (Exception fault) when (fault is JsonException or KeyNotFoundException or InvalidOperationException or FormatException or IOException or UnauthorizedAccessException)
        {
            throw new BadFileException($"cannot read '{path}': {fault.Message.Split('\n')[0].TrimEnd('.')}; a GGUF file needs the model's tokenizer.json", fault);
        }
    }

    private static List<KeyValuePair<string, GgufValue>> Read(string folder, string path, JsonElement root, int size)
    {
        JsonElement model = root.GetProperty("model");
        if (Text(model, "type") is not (null or "BPE") || !model.TryGetProperty("merges", out JsonElement mergeList))
        {
            throw new BadFileException($"the tokenizer '{path}' is of type '{Text(model, "type")}', which has no place in a GGUF file here; only BPE has");
        }
        string[] merges = [.. mergeList.EnumerateArray().Select(static one => one.ValueKind == JsonValueKind.String ? one.GetString()! : $"{one[0].GetString()} {one[1].GetString()}")];
        var tokens = new string?[size];
        var types = new int[size];
        foreach (JsonProperty one in model.GetProperty("vocab").EnumerateObject())
        {
            Put(tokens, types, one.Value.GetInt32(), one.Name, IsByte(one.Name) ? Byte : Normal, path);
        }
        string? unknown = Text(model, "unk_token");
        foreach (JsonElement one in root.TryGetProperty("added_tokens", out JsonElement added) ? added.EnumerateArray().ToArray() : [])
        {
            string content = one.GetProperty("content").GetString()!;
            Put(tokens, types, one.GetProperty("id").GetInt32(), content, content == unknown ? Unknown : one.GetProperty("special").GetBoolean() ? Control : UserDefined, path);
        }
        for (int i = 0; i < size; i++)
        {
            types[i] = tokens[i] is null ? Unused : types[i];
            tokens[i] ??= $"[PAD{i}]";
        }
        var ids = Enumerable.Range(0, size).ToLookup(i => tokens[i]!, StringComparer.Ordinal);
        var metadata = new List<KeyValuePair<string, GgufValue>>();
        void Add(string key, GgufValue value) => metadata.Add(KeyValuePair.Create("tokenizer." + key, value));
        bool isByteLevel = root.TryGetProperty("decoder", out JsonElement decoder) && decoder.GetRawText().Contains("\"ByteLevel\"", StringComparison.Ordinal);
        Add("ggml.model", GgufValue.Of(isByteLevel ? "gpt2" : "llama"));
        Add("ggml.pre", GgufValue.Of(isByteLevel ? Splitter(path, root, model) : "default"));
        Add("ggml.tokens", GgufValue.Of(tokens!));
        if (!isByteLevel)
        {
            Add("ggml.scores", GgufValue.Of(Scores(folder, tokens!, merges)));
        }
        Add("ggml.token_type", GgufValue.Of(types));
        if (isByteLevel)
        {
            Add("ggml.merges", GgufValue.Of(merges));
        }
        AddSpecial(folder, root, isByteLevel, token => ids[token].Select(static id => (uint?)id).FirstOrDefault(), Add);
        return metadata;
    }

    private static void Put(string?[] tokens, int[] types, int id, string token, int type, string path)
    {
        if (id < 0 || id >= tokens.Length)
        {
            throw new BadFileException($"token '{token}' of '{path}' has id {id}, the model has {tokens.Length} rows; tokenizer and model do not belong together");
        }
        (tokens[id], types[id]) = (token, type);
    }

    private static bool IsByte(string token) => token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>' && char.IsAsciiHexDigitUpper(token[3]) && char.IsAsciiHexDigitUpper(token[4]);

    private static string? Text(JsonElement element, string key) => element.TryGetProperty(key, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    // llama.cpp carries its own splitters and knows them by name; the regular expression of tokenizer.json tells which one is meant.
    private static string Splitter(string path, JsonElement root, JsonElement model)
    {
        string[] patterns = root.TryGetProperty("pre_tokenizer", out JsonElement splitter) ? [.. Patterns(splitter)] : [];
        bool ignoresMerges = model.TryGetProperty("ignore_merges", out JsonElement ignores) && ignores.ValueKind == JsonValueKind.True;
        return patterns switch
        {
            [Contractions + "\\p{N}{1,3}" + Rest] => ignoresMerges ? "llama-bpe" : "smaug-bpe",
            [Contractions + "\\p{N}" + Rest] => "qwen2",
            [] when splitter.GetRawText() is var raw && raw.Contains("ByteLevel", StringComparison.Ordinal) && !raw.Contains("\"use_regex\":false", StringComparison.Ordinal) && !raw.Contains("Digits", StringComparison.Ordinal) => "gpt-2",
            _ => throw new BadFileException($"the tokenizer '{path}' splits text in a way that has no name in llama.cpp here; export the adapter alone and convert the base with llama.cpp"),
        };
    }

    private static IEnumerable<string> Patterns(JsonElement splitter) => splitter.ValueKind != JsonValueKind.Object ? []
        : splitter.TryGetProperty("pretokenizers", out JsonElement inner) ? inner.EnumerateArray().SelectMany(Patterns)
        : splitter.TryGetProperty("pattern", out JsonElement pattern) ? [Text(pattern, "Regex") ?? Text(pattern, "String") ?? ""] : [];

    // llama.cpp joins the neighbours whose union has the highest score. Without the SentencePiece file the order of the merges says the same.
    private static float[] Scores(string folder, string[] tokens, string[] merges)
    {
        string original = Path.Combine(folder, "tokenizer.model");
        Dictionary<string, float> known = File.Exists(original)
            ? SentencePieceFile.Read(original).GroupBy(static one => one.Piece, StringComparer.Ordinal).ToDictionary(static group => group.Key, static group => group.First().Score, StringComparer.Ordinal)
            : [];
        if (known.Count == 0)
        {
            for (int rank = 0; rank < merges.Length; rank++)
            {
                known.TryAdd(merges[rank].Replace(" ", "", StringComparison.Ordinal), -rank);
            }
        }
        return [.. tokens.Select((token, id) => known.TryGetValue(token, out float score) ? score : IsByte(token) ? 0f : -(merges.Length + id))];
    }

    private static void AddSpecial(string folder, JsonElement root, bool isByteLevel, Func<string, uint?> idOf, Action<string, GgufValue> add)
    {
        string configPath = Path.Combine(folder, "tokenizer_config.json");
        using JsonDocument? document = File.Exists(configPath) ? PythonJson.Parse(File.ReadAllBytes(configPath)) : null;
        JsonElement? config = document?.RootElement;
        uint? Named(string key) => config is { } one && one.TryGetProperty(key, out JsonElement value) ? (value.ValueKind == JsonValueKind.String ? value.GetString() : Content(value)) is string token ? idOf(token) : null : null;
        foreach ((string key, string name) in new[] { ("bos_token", "bos"), ("eos_token", "eos"), ("unk_token", "unknown"), ("pad_token", "padding") })
        {
            if (Named(key) is uint id)
            {
                add($"ggml.{name}_token_id", GgufValue.Of(id));
            }
        }
        bool? Flag(string key) => config is { } one && one.TryGetProperty(key, out JsonElement value) && value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : null;
        string? bos = Named("bos_token") is null ? null : config!.Value.GetProperty("bos_token") is { ValueKind: JsonValueKind.String } text ? text.GetString() : Content(config.Value.GetProperty("bos_token"));
        bool fromTemplate = bos is not null && root.TryGetProperty("post_processor", out JsonElement post) && BeginsWith(post, bos);
        add("ggml.add_bos_token", GgufValue.Of(fromTemplate || (!root.TryGetProperty("post_processor", out JsonElement none) || none.ValueKind == JsonValueKind.Null) && Flag("add_bos_token") == true));
        add("ggml.add_eos_token", GgufValue.Of(Flag("add_eos_token") == true));
        if (!isByteLevel)
        {
            string normalizer = root.TryGetProperty("normalizer", out JsonElement one) ? one.GetRawText() : "", splitter = root.TryGetProperty("pre_tokenizer", out JsonElement two) ? two.GetRawText() : "";
            bool prepends = normalizer.Contains("\"Prepend\"", StringComparison.Ordinal) || splitter.Contains("\"first\"", StringComparison.Ordinal) || splitter.Contains("\"always\"", StringComparison.Ordinal) || splitter.Contains("\"add_prefix_space\":true", StringComparison.Ordinal);
            add("ggml.add_space_prefix", GgufValue.Of(prepends));
        }
        if (Template(folder, config) is string template)
        {
            add("chat_template", GgufValue.Of(template));
        }
    }

    private static string? Content(JsonElement value) => value.ValueKind == JsonValueKind.Object ? Text(value, "content") : null;

    private static bool BeginsWith(JsonElement post, string bos) => post.ValueKind == JsonValueKind.Object && (
        post.TryGetProperty("processors", out JsonElement inner) ? inner.EnumerateArray().Any(one => BeginsWith(one, bos))
        : post.TryGetProperty("single", out JsonElement single) && single.ValueKind == JsonValueKind.Array && single.GetArrayLength() > 0 && single[0].TryGetProperty("SpecialToken", out JsonElement first) && Text(first, "id") == bos);

    private static string? Template(string folder, JsonElement? config)
    {
        string file = Path.Combine(folder, "chat_template.jinja");
        if (File.Exists(file))
        {
            return File.ReadAllText(file);
        }
        if (config is not { } root || !root.TryGetProperty("chat_template", out JsonElement template))
        {
            return null;
        }
        return template.ValueKind switch
        {
            JsonValueKind.String => template.GetString(),
            JsonValueKind.Array => template.EnumerateArray().Where(static one => Text(one, "name") == "default").Select(static one => Text(one, "template")).FirstOrDefault(),
            _ => null,
        };
    }
}
