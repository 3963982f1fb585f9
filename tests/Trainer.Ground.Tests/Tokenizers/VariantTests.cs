using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Tokenizers;

namespace Trainer.Ground.Tests.Tokenizers;

/// <summary>Over a hundred tokenizers put together at random from all components, with what the reference library made of ten texts each.</summary>
[Trait("ring", "unit")]
public class VariantTests
{
    [Fact]
    public void Every_combination_of_components_gives_the_ids_offsets_and_texts_of_the_reference()
    {
        var bases = new[] { "tiny-bytelevel", "tiny-bytefallback" }.ToDictionary(name => name,
            name => GoldenFiles.Unzip(Path.Combine(GoldenFiles.Fixtures, name, "tokenizer.json.gz")));
        var faults = new List<string>();
        var compared = 0;
        foreach (var variant in GoldenFiles.Json(Path.Combine(GoldenFiles.Fixtures, "variants.json.gz")).EnumerateArray())
        {
            var tokenizer = HfTokenizer.FromJson(Build(bases[variant.GetProperty("base").GetString()!], variant), "variant.json");
            foreach (var item in variant.GetProperty("cases").EnumerateArray())
            {
                if (Differs(tokenizer, item) is { } difference)
                    faults.Add($"{difference} of '{item.GetProperty("text")}' by {variant.GetProperty("normalizer")} {variant.GetProperty("pre_tokenizer")} "
                        + $"{variant.GetProperty("post_processor")} {variant.GetProperty("decoder")}");
                compared++;
            }
        }
        Assert.True(compared > 1000);
        Assert.True(faults.Count == 0, $"{faults.Count} of {compared}: {string.Join("\n", faults.Take(5))}");
    }

    private static string? Differs(HfTokenizer tokenizer, JsonElement item)
    {
        var text = item.GetProperty("text").GetString()!;
        var (plain, special) = (tokenizer.Encode(text, false), tokenizer.Encode(text, true));
        if (!plain.Ids.SequenceEqual(Numbers(item, "ids")))
            return "ids";
        if (!special.Ids.SequenceEqual(Numbers(item, "special")))
            return "ids with special tokens";
        if (!Flat(plain).SequenceEqual(Numbers(item, "offsets")))
            return "offsets";
        if (!Flat(special).SequenceEqual(Numbers(item, item.TryGetProperty("specialOffsets", out _) ? "specialOffsets" : "offsets")))
            return "offsets with special tokens";
        var decoded = item.GetProperty("decoded").GetString()!;
        var skipped = item.TryGetProperty("skipped", out var other) ? other.GetString()! : decoded;
        if (tokenizer.Decode(plain.Ids, false) != decoded || tokenizer.Decode(plain.Ids, true) != skipped)
            return "decoding";
        var stream = new StreamDecoder(tokenizer, true);
        if (string.Concat(plain.Ids.Select(stream.Add)) + stream.Flush() != skipped)
            return "decoding in a stream";
        return Primed(tokenizer, plain.Ids, skipped) is { } at ? $"decoding behind {at} tokens of prompt" : null;
    }

    // What follows a prompt is the whole text without the prompt's: nothing of the prompt is held back and given out later.
    private static int? Primed(HfTokenizer tokenizer, int[] ids, string whole)
    {
        for (var at = 0; at <= ids.Length; at++)
        {
            var prompt = tokenizer.Decode(ids.AsSpan(0, at), true);
            // A prompt that ends within a letter, or whose decoder changes what went before, is no text of its own.
            if (!whole.StartsWith(prompt, StringComparison.Ordinal))
                continue;
            var stream = new StreamDecoder(tokenizer, true);
            stream.Prime(ids[..at]);
            if (string.Concat(ids[at..].Select(stream.Add)) + stream.Flush() != whole[prompt.Length..])
                return at;
        }
        return null;
    }

    private static byte[] Build(byte[] from, JsonElement variant)
    {
        var root = JsonNode.Parse(from)!.AsObject();
        foreach (var name in new[] { "normalizer", "pre_tokenizer", "decoder", "post_processor", "added_tokens" })
            root[name] = JsonNode.Parse(variant.GetProperty(name).GetRawText());
        var model = root["model"]!.AsObject();
        foreach (var property in variant.GetProperty("model").EnumerateObject())
            model[property.Name] = JsonNode.Parse(property.Value.GetRawText());
        var asText = variant.GetProperty("mergesAsText").GetBoolean();
        if (!variant.GetProperty("model").TryGetProperty("merges", out _))
            model["merges"] = new JsonArray([.. model["merges"]!.AsArray().Select(merge => Merge(merge!, asText))]);
        return System.Text.Encoding.UTF8.GetBytes(root.ToJsonString());
    }

    private static JsonNode Merge(JsonNode merge, bool asText)
    {
        var parts = merge is JsonArray pair ? [pair[0]!.GetValue<string>(), pair[1]!.GetValue<string>()] : merge.GetValue<string>().Split(' ');
        return asText ? JsonValue.Create(string.Join(' ', parts)) : new JsonArray(parts[0], parts[1]);
    }

    private static IEnumerable<int> Flat(Encoding encoding) => encoding.Offsets.SelectMany(range => new[] { range.Start, range.End });

    private static IEnumerable<int> Numbers(JsonElement item, string name) =>
        item.GetProperty(name).GetString()!.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse);
}
