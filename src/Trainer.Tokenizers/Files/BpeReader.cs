using System.Text.Json;
using Trainer.Tokenizers.Bpe;

namespace Trainer.Tokenizers.Files;

/// <summary>Reads the <c>model</c> of a tokenizer.json of type BPE: tokens with their ids, and merges.</summary>
internal static class BpeReader
{
    private const int MostTokens = 8_000_000;

    /// <summary>Builds the model.</summary>
    public static (Vocabulary Vocabulary, BpeModel Model) Read(JsonSection section)
    {
        var dropout = section.Member("dropout");
        if (!dropout.IsNull && !(dropout.Element.ValueKind == JsonValueKind.Number && dropout.Element.GetDouble() == 0))
            throw dropout.Fault("dropout would make the ids random", "set it to null");
        var options = new BpeOptions
        {
            UnknownToken = section.Member("unk_token").TextOrNull(),
            FuseUnknown = section.Member("fuse_unk").Flag(false),
            ByteFallback = section.Member("byte_fallback").Flag(false),
            IgnoreMerges = section.Member("ignore_merges").Flag(false),
            ContinuingPrefix = section.Member("continuing_subword_prefix").TextOrNull() ?? "",
            EndSuffix = section.Member("end_of_word_suffix").TextOrNull() ?? "",
        };
        var vocabulary = ReadVocabulary(section.Member("vocab"));
        var (merges, cutsAtMark) = ReadMerges(section.Member("merges"), vocabulary, options.ContinuingPrefix);
        return (vocabulary, new BpeModel(vocabulary, merges, options, cutsAtMark));
    }

    private static Vocabulary ReadVocabulary(JsonSection section)
    {
        if (section.Element.ValueKind != JsonValueKind.Object)
            throw section.Fault("an object of tokens and ids was expected");
        var ids = new Dictionary<string, int>(200_000, StringComparer.Ordinal);
        var taken = new HashSet<int>(200_000);
        foreach (var property in section.Element.EnumerateObject())
        {
            var token = NameOf(property, section);
            if (property.Value.ValueKind != JsonValueKind.Number || !property.Value.TryGetInt32(out var id) || id < 0 || id >= MostTokens)
                throw section.Fault($"token '{token}' has no usable id");
            if (!ids.TryAdd(token, id))
                throw section.Fault($"token '{token}' is listed twice");
            if (!taken.Add(id))
                throw section.Fault($"id {id} of token '{token}' is taken by another token");
        }
        return new Vocabulary(ids);
    }

    private static string NameOf(JsonProperty property, JsonSection section)
    {
        try
        {
            return property.Name;
        }
        catch (InvalidOperationException)
        {
            throw section.Fault("a token is not well-formed Unicode");
        }
    }

    private static (MergeTable Table, bool CutsAtMark) ReadMerges(JsonSection section, Vocabulary vocabulary, string prefix)
    {
        if (section.Element.ValueKind != JsonValueKind.Array)
            throw section.Fault("a list of merges was expected");
        var merges = new List<(int, int, int, int)>(section.Element.GetArrayLength());
        var cutsAtMark = true;
        var rank = 0;
        foreach (var item in section.Element.EnumerateArray())
        {
            var (left, right) = Parts(item, section, rank);
            // Files converted from merges.txt may keep its first line.
            if (left is null)
                continue;
            var leftId = Need(vocabulary, left, section, rank);
            var rightId = Need(vocabulary, right, section, rank);
            if (prefix.Length > 0 && right.Length < prefix.Length)
                throw section.Fault($"merge {rank} has a right part '{right}' without the prefix '{prefix}'");
            var product = string.Concat(left, right.AsSpan(prefix.Length));
            merges.Add((leftId, rightId, Need(vocabulary, product, section, rank), rank));
            cutsAtMark &= !(right.StartsWith('▁') && left[^1] != '▁');
            rank++;
        }
        return (new MergeTable(merges, rank), cutsAtMark);
    }

    private static int Need(Vocabulary vocabulary, string token, JsonSection section, int rank) =>
        vocabulary.IdOf(token) ?? throw section.Fault($"merge {rank} needs token '{token}', which the vocabulary lacks");

    private static (string? Left, string Right) Parts(JsonElement item, JsonSection section, int rank)
    {
        try
        {
            if (item.ValueKind == JsonValueKind.Array && item.GetArrayLength() == 2
                && item[0].GetString() is { Length: > 0 } first && item[1].GetString() is { Length: > 0 } second)
                return (first, second);
            if (item.ValueKind == JsonValueKind.String && item.GetString() is { } line)
            {
                if (line.StartsWith("#version", StringComparison.Ordinal))
                    return (null, "");
                var space = line.IndexOf(' ', StringComparison.Ordinal);
                if (space > 0 && space + 1 < line.Length && line.IndexOf(' ', space + 1) < 0)
                    return (line[..space], line[(space + 1)..]);
            }
        }
        catch (InvalidOperationException)
        {
        }
        throw section.Fault($"merge {rank} is not two tokens");
    }
}
