using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Trainer.Checkpoints.Folders;

namespace Trainer.Checkpoints.Gguf;

/// <summary>The tokenizer inside a GGUF file as the files of a model folder: tokenizer.json for byte-level BPE ("gpt2"), tokenizer.model for SentencePiece
/// ("llama"), and the chat template.</summary>
public static class GgufTokenizer
{
    private const int Unknown = 2, Control = 3, UserDefined = 4, Unused = 5;

    /// <summary>Writes the files into a folder.</summary>
    /// <param name="file">The GGUF file.</param>
    /// <param name="folder">An existing folder.</param>
    /// <exception cref="BadFileException">The file has no tokenizer, or one of a kind or splitter that is not read; it is named.</exception>
    public static void Write(GgufFile file, string folder)
    {
        ArgumentNullException.ThrowIfNull(file);
        var kind = file.Text("tokenizer.ggml.model") ?? throw Bad(file, "it has no tokenizer ('tokenizer.ggml.model')");
        var tokens = List<string>(file, "tokens");
        var types = file.Find("tokenizer.ggml.token_type")?.Value as int[] ?? Enumerable.Repeat(1, tokens.Length).ToArray();
        if (types.Length != tokens.Length)
            throw Bad(file, $"'tokenizer.ggml.token_type' has {types.Length} entries for {tokens.Length} tokens");
        var config = new JsonObject();
        void Name(string key, string role)
        {
            if (Id(file, key) is int id && id < tokens.Length) config[role] = tokens[id];
        }
        Name("bos_token_id", "bos_token");
        Name("eos_token_id", "eos_token");
        Name("padding_token_id", "pad_token");
        Name("unknown_token_id", "unk_token");
        if (file.Text("tokenizer.chat_template") is string template)
            File.WriteAllText(Path.Combine(folder, ModelFolderFiles.TemplateNames[0]), template);
        switch (kind)
        {
            case "gpt2":
                WriteBytePairs(file, folder, tokens, types, config);
                break;
            case "llama":
                WriteSentencePiece(file, folder, tokens, types, config);
                break;
            default:
                throw Bad(file, $"its tokenizer is of kind '{kind}', which is not read (gpt2 and llama are)");
        }
        File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), config.ToJsonString());
    }

    private static void WriteBytePairs(GgufFile file, string folder, string[] tokens, int[] types, JsonObject config)
    {
        var name = file.Text("tokenizer.ggml.pre") ?? "default";
        (var pattern, var ignoresMerges, var begins) = GgufSplitter.PatternOf(name)
            ?? throw Bad(file, $"its tokenizer splits text as '{name}', which is not read");
        var vocabulary = new JsonObject();
        var added = new JsonArray();
        for (var id = 0; id < tokens.Length; id++)
        {
            if (types[id] == Unused) continue;
            if (types[id] is Control or UserDefined or Unknown)
            {
                // In the vocabulary too, as added tokens may lie before others: it alone says their ids then.
                vocabulary.TryAdd(tokens[id], id);
                added.Add(new JsonObject { ["id"] = id, ["content"] = tokens[id], ["single_word"] = false, ["lstrip"] = false, ["rstrip"] = false,
                    ["normalized"] = false, ["special"] = types[id] != UserDefined });
            }
            else if (!vocabulary.TryAdd(tokens[id], id))
                throw Bad(file, $"its tokenizer holds the token '{tokens[id]}' twice");
        }
        JsonObject bytes = new() { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = false,
            ["use_regex"] = pattern is GgufSplitter.Words or GgufSplitter.DigitsThenWords };
        JsonNode splitter = pattern switch
        {
            GgufSplitter.Words => bytes,
            GgufSplitter.DigitsThenWords => Sequence(new JsonObject { ["type"] = "Digits", ["individual_digits"] = true }, bytes),
            _ => Sequence(new JsonObject { ["type"] = "Split", ["pattern"] = new JsonObject { ["Regex"] = pattern }, ["behavior"] = "Isolated",
                ["invert"] = false }, bytes),
        };
        var root = new JsonObject
        {
            ["version"] = "1.0",
            ["added_tokens"] = added,
            ["normalizer"] = name is "qwen2" or "qwen35" ? new JsonObject { ["type"] = "NFC" } : null,
            ["pre_tokenizer"] = splitter,
            ["post_processor"] = Around(file, tokens, begins),
            ["decoder"] = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = true, ["trim_offsets"] = true, ["use_regex"] = true },
            ["model"] = new JsonObject
            {
                ["type"] = "BPE", ["dropout"] = null, ["unk_token"] = null, ["fuse_unk"] = false, ["byte_fallback"] = false, ["ignore_merges"] = ignoresMerges,
                ["vocab"] = vocabulary, ["merges"] = new JsonArray([.. List<string>(file, "merges").Select(static one => (JsonNode)one)]),
            },
        };
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), root.ToJsonString());
        config["tokenizer_class"] = "PreTrainedTokenizerFast";
    }

    private static JsonObject Sequence(params JsonNode[] steps) => new() { ["type"] = "Sequence", ["pretokenizers"] = new JsonArray(steps) };

    private static JsonObject? Around(GgufFile file, string[] tokens, bool begins)
    {
        JsonArray single = [], pair = [];
        var special = new JsonObject();
        void Add(string key, bool otherwise, string role)
        {
            if (!(file.Find($"tokenizer.ggml.{key}")?.Value as bool? ?? otherwise) || Id(file, role) is not int id || id >= tokens.Length)
                return;
            single.Add(new JsonObject { ["SpecialToken"] = new JsonObject { ["id"] = tokens[id], ["type_id"] = 0 } });
            special[tokens[id]] = new JsonObject { ["id"] = tokens[id], ["ids"] = new JsonArray(id), ["tokens"] = new JsonArray(tokens[id]) };
        }
        Add("add_bos_token", begins, "bos_token_id");
        single.Add(new JsonObject { ["Sequence"] = new JsonObject { ["id"] = "A", ["type_id"] = 0 } });
        Add("add_eos_token", false, "eos_token_id");
        if (special.Count == 0) return null;
        foreach (var step in single) pair.Add(step!.DeepClone());
        pair.Add(new JsonObject { ["Sequence"] = new JsonObject { ["id"] = "B", ["type_id"] = 1 } });
        return new JsonObject { ["type"] = "TemplateProcessing", ["single"] = single, ["pair"] = pair, ["special_tokens"] = special };
    }

    // sentencepiece_model.proto: pieces (1: text, 2: score, 3: type), trainer (3: model type, 35: byte fallback), normalizer (3: space in front, 4: drop
    // spaces).
    private static void WriteSentencePiece(GgufFile file, string folder, string[] tokens, int[] types, JsonObject config)
    {
        var scores = List<float>(file, "scores");
        if (scores.Length != tokens.Length)
            throw Bad(file, $"'tokenizer.ggml.scores' has {scores.Length} entries for {tokens.Length} tokens");
        // Padding to a round number at the end is no vocabulary.
        var count = tokens.Length;
        while (count > 0 && types[count - 1] == Unused) count--;
        using var bytes = new MemoryStream();
        Span<byte> score = stackalloc byte[4];
        for (var id = 0; id < count; id++)
        {
            using var piece = new MemoryStream();
            Field(piece, 1, Encoding.UTF8.GetBytes(tokens[id]));
            piece.WriteByte(2 << 3 | 5);
            BinaryPrimitives.WriteSingleLittleEndian(score, scores[id]);
            piece.Write(score);
            Number(piece, 3, types[id] == Unused ? UserDefined : types[id]);
            Field(bytes, 1, piece.ToArray());
        }
        bool prefix = file.Find("tokenizer.ggml.add_space_prefix")?.Value as bool? ?? true,
            trims = file.Find("tokenizer.ggml.remove_extra_whitespaces")?.Value as bool? ?? false;
        Field(bytes, 2, [3 << 3, 2, .. Varint(35 << 3), 1]);
        Field(bytes, 3, [3 << 3, (byte)(prefix ? 1 : 0), 4 << 3, (byte)(trims ? 1 : 0)]);
        File.WriteAllBytes(Path.Combine(folder, "tokenizer.model"), bytes.ToArray());
        config["tokenizer_class"] = "LlamaTokenizer";
        config["legacy"] = true;
        config["add_bos_token"] = (file.Find("tokenizer.ggml.add_bos_token")?.Value as bool? ?? true) && config.ContainsKey("bos_token");
        config["add_eos_token"] = (file.Find("tokenizer.ggml.add_eos_token")?.Value as bool? ?? false) && config.ContainsKey("eos_token");
    }

    private static void Field(Stream target, int field, ReadOnlySpan<byte> bytes)
    {
        target.Write(Varint((uint)field << 3 | 2));
        target.Write(Varint((uint)bytes.Length));
        target.Write(bytes);
    }

    private static void Number(Stream target, int field, int value)
    {
        target.Write(Varint((uint)field << 3));
        target.Write(Varint((uint)value));
    }

    private static byte[] Varint(uint value)
    {
        var bytes = new List<byte>();
        for (; value > 127; value >>= 7) bytes.Add((byte)(value & 127 | 128));
        bytes.Add((byte)value);
        return [.. bytes];
    }

    private static T[] List<T>(GgufFile file, string key)
        => file.Find($"tokenizer.ggml.{key}")?.Value as T[] ?? throw Bad(file, $"its tokenizer has no 'tokenizer.ggml.{key}'");

    private static int? Id(GgufFile file, string key) => file.Find($"tokenizer.ggml.{key}")?.Value is uint id and < int.MaxValue ? (int)id : null;

    private static BadFileException Bad(GgufFile file, string why)
        => new(string.Create(CultureInfo.InvariantCulture, $"GGUF file '{file.Path}': {why}; take the model's original folder"));
}
