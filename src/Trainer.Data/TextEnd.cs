using System.Text.Json;
using Trainer.Tokenizers;

namespace Trainer.Data;

/// <summary>The token that ends a text: what the tokenizer's files name, else what config.json or generation_config.json do.</summary>
/// <param name="Id">Its id, or null where none is named.</param>
/// <param name="Notes">Contradictions among the files.</param>
internal sealed record TextEnd(int? Id, IReadOnlyList<string> Notes)
{
    private static readonly string[] Files = ["config.json", "generation_config.json"];

    /// <exception cref="DataException">The token is outside the model's vocabulary.</exception>
    public static TextEnd Of(string directory, HfTokenizer tokenizer, int? vocabulary)
    {
        var named = Files.Select(file => (File: file, Ids: Ids(Path.Combine(directory, file)))).Where(each => each.Ids.Count > 0).ToList();
        // A token that is named and is not there would get an id of its own, which the model has no row for.
        var missing = tokenizer.EosId is null ? tokenizer.EosToken : null;
        if (missing is not null && named.Count == 0)
            throw new DataException($"the end-of-text token '{missing}', which the tokenizer's files name, is not in the vocabulary "
                + $"({Path.Combine(directory, "tokenizer_config.json")}): nothing could end a text; correct eos_token");
        var (id, source) = tokenizer.EosId is { } own ? (own, "the tokenizer") : named.Count > 0 ? (named[0].Ids[0], named[0].File) : ((int?)null, "");
        if (id is not { } end)
            return new TextEnd(null, ["no file of the model names an end-of-text token: text rows are trained without an end, and the model will not learn to "
                + "stop"]);
        if (end < 0 || vocabulary is { } size && end >= size || vocabulary is null && tokenizer.TokenOf(end) is null)
            throw new DataException($"the end-of-text token {end} ({source}) is outside the vocabulary "
                + $"of {vocabulary ?? tokenizer.VocabularySize}: {Path.Combine(directory, source == "the tokenizer" ? "tokenizer_config.json" : source)}"
                + " and the weights do not belong together; correct eos_token_id");
        // A model may stop at several tokens; only a file that leaves this one out contradicts it.
        var notes = named.Where(each => !each.Ids.Contains(end))
            .Select(each => $"{each.File} ends text with {string.Join(", ", each.Ids.Select(Written))}, {source} with {Written(end)}: text rows end "
                + $"with {Written(end)}");
        if (missing is not null)
            notes = notes.Append($"the tokenizer's files end text with '{missing}', which is not in the vocabulary: text rows end with {Written(end)}");
        return new TextEnd(end, [.. notes]);

        string Written(int id) => $"{id}{(tokenizer.TokenOf(id) is { } token ? $" ('{token}')" : "")}";
    }

    /// <summary>Whether there is a file that can be a configuration: the loader of models reports one that is longer than any.</summary>
    internal static bool IsShort(string file)
    {
        if (!File.Exists(file)) return false;
        using var handle = File.OpenHandle(file);
        return RandomAccess.GetLength(handle) <= 64 << 20;
    }

    private static List<int> Ids(string file)
    {
        if (!IsShort(file)) return [];
        try
        {
            using var config = JsonDocument.Parse(File.ReadAllText(file));
            if (config.RootElement.ValueKind != JsonValueKind.Object || !config.RootElement.TryGetProperty("eos_token_id", out var ids)) return [];
            return [.. (ids.ValueKind == JsonValueKind.Array ? ids.EnumerateArray().ToArray() : [ids])
                .Where(id => id.ValueKind == JsonValueKind.Number && id.TryGetInt32(out _)).Select(id => id.GetInt32())];
        }
        catch (JsonException)
        {
            return []; // the loader of models reports a broken file
        }
    }
}
