using System.Security.Cryptography;
using System.Text.Json;
using Trainer.Tokenizers.AddedTokens;
using Trainer.Tokenizers.PostProcessors;

namespace Trainer.Tokenizers.Files;

/// <summary>Reads the tokenizer of a model folder.</summary>
internal static class TokenizerFolder
{
    private static readonly string[] Names = ["tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"];

    // These classes build their template anew from add_bos_token and add_eos_token, whatever tokenizer.json says.
    private static readonly string[] RebuiltClasses =
        ["LlamaTokenizer", "LlamaTokenizerFast", "CodeLlamaTokenizer", "CodeLlamaTokenizerFast", "GemmaTokenizer", "GemmaTokenizerFast", "CohereTokenizer",
        "CohereTokenizerFast"];

    /// <summary>Reads a folder.</summary>
    public static TokenizerParts Read(string folder)
    {
        var files = Names.ToDictionary(name => name, name => JsonFile.ReadBytes(Path.Combine(folder, name)));
        var config = Parse(files, folder, "tokenizer_config.json");
        var map = Parse(files, folder, "special_tokens_map.json");
        var beside = new FilesBeside(config, map, Parse(files, folder, "added_tokens.json"));
        if (config?.Member("split_special_tokens") is { } splits && splits.Flag(false))
            throw splits.Fault("special tokens would be cut into letters wherever they stand in a text, which is not followed here", "set it to false");
        if (files["tokenizer.json"] is { } bytes)
        {
            files["tokenizer.model"] = null;
            return Read(JsonFile.Parse(bytes, Path.Combine(folder, "tokenizer.json")), beside, Hash(files));
        }
        if (files["tokenizer.model"] is { } model)
            return SentencePieceReader.Read(model, Path.Combine(folder, "tokenizer.model"), beside, Hash(files));
        throw new TokenizerException($"no tokenizer.json and no tokenizer.model in '{folder}'; pass the folder of a complete model");
    }

    /// <summary>Reads a parsed tokenizer.json with what stands beside it.</summary>
    public static TokenizerParts Read(JsonSection file, FilesBeside beside, string hash)
    {
        var version = file.Member("version");
        if (version.TextOrNull() is not (null or "1.0"))
            throw version.Fault($"the version '{version.Text()}' is not known", "use a file of version 1.0");
        var (vocabulary, model) = ModelReader.Read(file.Member("model"));
        var normalizer = ComponentReader.Normalizer(file.Member("normalizer"));
        var added = new AddedVocabulary(AddedTokenReader.Read(file, beside, vocabulary), normalizer);
        if (added.Vanishing is { } vanishing)
            throw file.Member("added_tokens").Fault($"the normalizer leaves nothing of added token '{vanishing.Content}' (id {vanishing.Id})",
                "give that token \"normalized\": false");
        int? IdOf(string token) => added.IdOf(token) ?? vocabulary.IdOf(token);
        var special = beside.Roles(token => IdOf(token) is not null);
        var processor = PostProcessorReader.Read(file.Member("post_processor"), id => vocabulary.TokenOf(id) ?? added.ContentOf(id) ?? "");
        return new TokenizerParts(
            vocabulary,
            model,
            added,
            ComponentReader.PreTokenizer(file.Member("pre_tokenizer")),
            Rebuilt(beside.Config, special, IdOf) ?? processor,
            ComponentReader.Decoder(file.Member("decoder")),
            special,
            hash);
    }

    /// <summary>The template of a class that builds its own, or null.</summary>
    public static Template? Rebuilt(JsonSection? config, SpecialTokens special, Func<string, int?> idOf)
    {
        if (config is not { } section || !RebuiltClasses.Contains(section.Member("tokenizer_class").TextOrNull()))
            return null;
        var (begins, ends) = (section.Member("add_bos_token"), section.Member("add_eos_token"));
        // Where a token is said to be none, version 5 of transformers puts none and keeps the file's own template unless one of the two is asked for.
        var isNone = special.Bos is null && section.Member("bos_token").Element.ValueKind == JsonValueKind.Null;
        if (isNone && begins.IsNull && ends.IsNull)
            return null;
        var parts = new List<int[]?>();
        if (begins.Flag(!isNone))
            parts.Add([Need(section, "bos_token", special.Bos, idOf)]);
        parts.Add(null);
        if (ends.Flag(false))
            parts.Add([Need(section, "eos_token", special.Eos, idOf)]);
        return new Template(parts);
    }

    private static int Need(JsonSection config, string role, string? token, Func<string, int?> idOf)
    {
        if (token is null)
            throw config.Fault($"add_{role} is on, but no {role} is named");
        return idOf(token) ?? throw config.Member(role).Fault($"token '{token}' is not in the vocabulary");
    }

    private static JsonSection? Parse(Dictionary<string, byte[]?> files, string folder, string name) =>
        files[name] is { } bytes ? JsonFile.Parse(bytes, Path.Combine(folder, name)) : null;

    private static string Hash(Dictionary<string, byte[]?> files)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var name in Names)
        {
            if (files[name] is not { } bytes)
                continue;
            hash.AppendData(System.Text.Encoding.UTF8.GetBytes($"{name}\0{bytes.Length}\0"));
            hash.AppendData(bytes);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
