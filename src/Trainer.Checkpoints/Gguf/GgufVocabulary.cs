using System.Text.Json;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Folders;
using Trainer.Checkpoints.Json;
using Trainer.Checkpoints.Safetensors;

namespace Trainer.Checkpoints.Gguf;

/// <summary>
/// The tokenizer of a model folder as GGUF metadata: byte-level BPE as "gpt2" with the pre-tokenizer's name in llama.cpp, byte-fallback BPE
/// (SentencePiece) as "llama" with scores. A tokenizer that llama.cpp would split otherwise is refused.
/// </summary>
public static class GgufVocabulary
{
    private const int Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6;

    /// <summary>The metadata, keys tokenizer.*.</summary>
    /// <param name="folder">A model folder with tokenizer.json.</param>
    /// <param name="vocabularySize">Rows of the embedding; ids without a token are filled.</param>
    /// <param name="modelType">model_type of config.json: it tells splitters apart that are one in all but name.</param>
    /// <exception cref="BadFileException">tokenizer.json is missing, damaged, or of a kind that has no place in GGUF here.</exception>
    public static IReadOnlyList<KeyValuePair<string, GgufValue>> Read(string folder, int vocabularySize, string modelType)
    {
        var path = Path.Combine(folder, "tokenizer.json");
        try
        {
            using var document = PythonJson.Parse(SmallFile.Bytes(path));
            return Read(folder, path, document.RootElement, vocabularySize, modelType);
        }
        catch (Exception fault) when (fault is JsonException or KeyNotFoundException or InvalidOperationException or FormatException or IOException
            or UnauthorizedAccessException)
        {
            throw new BadFileException($"cannot read '{path}': {fault.Message.Split('\n')[0].TrimEnd('.')}; a GGUF file needs the model's tokenizer.json",
                fault);
        }
    }

    private static List<KeyValuePair<string, GgufValue>> Read(string folder, string path, JsonElement root, int size, string modelType)
    {
        var model = root.GetProperty("model");
        if (Text(model, "type") is not (null or "BPE") || !model.TryGetProperty("merges", out var mergeList))
            throw new BadFileException($"the tokenizer '{path}' is of type '{Text(model, "type")}', which has no place in a GGUF file here; only BPE has");
        string[] merges = [.. mergeList.EnumerateArray().Select(static one => one.ValueKind == JsonValueKind.String
            ? one.GetString()! : $"{one[0].GetString()} {one[1].GetString()}")];
        var tokens = new string?[size];
        var types = new int[size];
        foreach (var one in model.GetProperty("vocab").EnumerateObject())
            Put(tokens, types, one.Value.GetInt32(), one.Name, IsByte(one.Name) ? Byte : Normal, path);
        var unknown = Text(model, "unk_token");
        foreach (var one in root.TryGetProperty("added_tokens", out var added) ? added.EnumerateArray().ToArray() : [])
        {
            var content = one.GetProperty("content").GetString()!;
            Put(tokens, types, one.GetProperty("id").GetInt32(), content,
                content == unknown ? Unknown : one.GetProperty("special").GetBoolean() ? Control : UserDefined, path);
        }
        for (var i = 0; i < size; i++)
        {
            types[i] = tokens[i] is null ? Unused : types[i];
            tokens[i] ??= $"[PAD{i}]";
        }
        var metadata = new List<KeyValuePair<string, GgufValue>>();
        void Add(string key, GgufValue value) => metadata.Add(KeyValuePair.Create("tokenizer." + key, value));
        var isByteLevel = root.TryGetProperty("decoder", out var decoder) && decoder.GetRawText().Contains("\"ByteLevel\"", StringComparison.Ordinal);
        Add("ggml.model", GgufValue.Of(isByteLevel ? "gpt2" : "llama"));
        Add("ggml.pre", GgufValue.Of(isByteLevel ? GgufSplitter.NameOf(path, root, modelType) : "default"));
        Add("ggml.tokens", GgufValue.Of(tokens!));
        if (!isByteLevel) Add("ggml.scores", GgufValue.Of(Scores(folder, tokens!, merges)));
        Add("ggml.token_type", GgufValue.Of(types));
        if (isByteLevel) Add("ggml.merges", GgufValue.Of(merges));
        AddTexts(folder, root, isByteLevel, Add);
        return metadata;
    }

    private static void Put(string?[] tokens, int[] types, int id, string token, int type, string path)
    {
        if (id < 0 || id >= tokens.Length)
        {
            throw new BadFileException($"token '{token}' of '{path}' has id {id}, the model has {tokens.Length} rows; tokenizer and model do not belong "
                + "together");
        }
        (tokens[id], types[id]) = (token, type);
    }

    private static bool IsByte(string token)
        => token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>' && char.IsAsciiHexDigitUpper(token[3])
            && char.IsAsciiHexDigitUpper(token[4]);

    private static string? Text(JsonElement element, string key)
        => element.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    // llama.cpp joins the neighbours whose union has the highest score. Without the SentencePiece file the order of the merges says the same.
    private static float[] Scores(string folder, string[] tokens, string[] merges)
    {
        var original = Path.Combine(folder, "tokenizer.model");
        var known = File.Exists(original)
            ? SentencePieceFile.Read(original).GroupBy(static one => one.Piece, StringComparer.Ordinal).ToDictionary(static group => group.Key,
                static group => group.First().Score, StringComparer.Ordinal)
            : [];
        if (known.Count == 0)
        {
            for (var rank = 0; rank < merges.Length; rank++)
                known.TryAdd(merges[rank].Replace(" ", "", StringComparison.Ordinal), -rank);
        }
        return [.. tokens.Select((token, id) => known.TryGetValue(token, out var score) ? score : IsByte(token) ? 0f : -(merges.Length + id))];
    }

    // Which tokens begin and end a text is said by the tokenizer as it behaves, not by one of the files that name them.
    private static void AddTexts(string folder, JsonElement root, bool isByteLevel, Action<string, GgufValue> add)
    {
        if (!isByteLevel)
        {
            string normalizer = root.TryGetProperty("normalizer", out var one) ? one.GetRawText() : "",
                splitter = root.TryGetProperty("pre_tokenizer", out var two) ? two.GetRawText() : "";
            var prepends = normalizer.Contains("\"Prepend\"", StringComparison.Ordinal) || splitter.Contains("\"first\"", StringComparison.Ordinal)
                || splitter.Contains("\"always\"", StringComparison.Ordinal) || splitter.Contains("\"add_prefix_space\":true", StringComparison.Ordinal);
            add("ggml.add_space_prefix", GgufValue.Of(prepends));
        }
        var file = Path.Combine(folder, ModelFolderFiles.TemplateNames[0]);
        if ((File.Exists(file) ? SmallFile.Text(file) : TextFolders.TemplateOfConfig(folder)) is string template)
            add("chat_template", GgufValue.Of(template));
    }
}
