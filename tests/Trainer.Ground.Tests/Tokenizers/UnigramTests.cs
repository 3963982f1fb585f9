using System.Text.Json.Nodes;
using Trainer.Tokenizers;

namespace Trainer.Ground.Tests.Tokenizers;

[Trait("ring", "unit")]
public class UnigramTests
{
    /// <summary>Ids by SentencePiece itself, with and without a character map, byte pieces and surplus spaces.</summary>
    [Theory]
    [InlineData("map")]
    [InlineData("bytes")]
    [InlineData("plain")]
    public void A_model_file_gives_the_ids_of_sentencepiece(string name)
    {
        var golden = Path.Combine(GoldenFiles.Fixtures, "sentencepiece-unigram");
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.PathOf("tokenizer.model"), GoldenFiles.Unzip(Path.Combine(golden, name + ".model.gz")));
        var tokenizer = HfTokenizer.Load(folder.Path);
        var faults = new List<string>();
        foreach (var expected in GoldenFiles.Json(Path.Combine(golden, name + ".ids.json.gz")).EnumerateObject())
        {
            var (ids, text) = (GoldenFiles.Ints(expected.Value), GoldenFiles.Strings[expected.Name]);
            var encoding = tokenizer.Encode(text, false);
            if (!ids.SequenceEqual(encoding.Ids))
                faults.Add($"{expected.Name}: {string.Join(' ', ids.Take(20))} but {string.Join(' ', encoding.Ids.Take(20))}");
            if (encoding.Offsets.Any(range => range.Start < 0 || range.End < range.Start || range.End > text.Length))
                faults.Add($"{expected.Name}: offsets outside the text");
        }
        Assert.True(faults.Count == 0, $"{faults.Count} faults: {string.Join("\n", faults.Take(10))}");
    }

    private static HfTokenizer Load(string vocabulary, string unknown = "0", string more = "") => HfTokenizer.FromJson(
        System.Text.Encoding.UTF8.GetBytes($$"""{"version": "1.0", "model": {"type": "Unigram", "unk_id": {{unknown}}, "vocab": {{vocabulary}}{{more}} } }"""),
        "tokenizer.json");

    [Fact]
    public void The_likeliest_cut_is_taken_and_of_equal_ones_the_first_found()
    {
        Assert.Equal([3], Load("""[["?", 0], ["a", -1], ["b", -1], ["ab", -1.5]]""").Encode("ab", false).Ids);
        Assert.Equal([1, 2], Load("""[["?", 0], ["a", -1], ["b", -1], ["ab", -2.5]]""").Encode("ab", false).Ids);
        Assert.Equal([3], Load("""[["?", 0], ["a", -1], ["b", -1], ["ab", -2]]""").Encode("ab", false).Ids);
        Assert.Equal([4, 1], Load("""[["?", 0], ["a", -1], ["b", -9], ["bc", -1], ["𝒜b", -3]]""").Encode("𝒜ba", false).Ids);
    }

    [Fact]
    public void Unknown_letters_in_a_row_are_one_token_with_their_range()
    {
        var encoding = Load("""[["?", 0], ["a", -1]]""").Encode("axy𝒜a", false);
        Assert.Equal([1, 0, 1], encoding.Ids);
        Assert.Equal([(0, 1), (1, 5), (5, 6)], encoding.Offsets);
    }

    [Fact]
    public void Without_an_unknown_token_a_letter_that_is_no_piece_is_refused() =>
        Assert.Contains("set unk_id", Assert.Throws<TokenizerException>(() => Load("""[["a", -1]]""", "null").Encode("x", false)).Message,
        StringComparison.Ordinal);

    [Theory]
    [InlineData("[]", "0", "the vocabulary is empty")]
    [InlineData("""[["a"]]""", "0", "a piece and its score were expected")]
    [InlineData("""[["a", "b"]]""", "0", "a piece and its score were expected")]
    [InlineData("""[["a", -1]]""", "1", "0 to 0")]
    [InlineData("{}", "0", "a list was expected")]
    public void A_damaged_model_is_refused(string vocabulary, string unknown, string reason) =>
        Assert.Contains(reason, Assert.Throws<TokenizerException>(() => Load(vocabulary, unknown)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("AAAA")]
    [InlineData("not base 64")]
    [InlineData("/////wAA")]
    public void A_damaged_character_map_is_refused(string map) =>
        Assert.Contains("a character map", Assert.Throws<TokenizerException>(() => HfTokenizer.FromJson(
            System.Text.Encoding.UTF8.GetBytes(
            $$"""{"version": "1.0", "normalizer": {"type": "Precompiled", "precompiled_charsmap": "{{map}}"}, "model": {"type": "Unigram", "unk_id": 0, "vocab": [["a", 0]]} }"""),
            "t")).Message, StringComparison.Ordinal);

    /// <summary>A map whose trie points anywhere must not read outside it.</summary>
    [Fact]
    public void A_character_map_of_noise_is_survived()
    {
        var random = new Random(7);
        for (var round = 0; round < 50; round++)
        {
            var bytes = new byte[4 + 4 * 300 + 40];
            random.NextBytes(bytes);
            BitConverter.TryWriteBytes(bytes, 4 * 300);
            var json = new JsonObject
            {
                ["version"] = "1.0",
                ["normalizer"] = new JsonObject { ["type"] = "Precompiled", ["precompiled_charsmap"] = Convert.ToBase64String(bytes) },
                ["model"] = JsonNode.Parse("""{"type": "Unigram", "unk_id": 0, "vocab": [["a", 0]]}"""),
            };
            var tokenizer = HfTokenizer.FromJson(System.Text.Encoding.UTF8.GetBytes(json.ToJsonString()), "t");
            foreach (var text in GoldenFiles.Strings.Values.Take(100)) tokenizer.Encode(text, false);
        }
    }

    [Fact]
    public void A_class_with_ids_of_its_own_needs_a_tokenizer_json()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.PathOf("tokenizer.model"), GoldenFiles.Unzip(Path.Combine(GoldenFiles.Fixtures, "sentencepiece-unigram", "map.model.gz")));
        File.WriteAllText(folder.PathOf("tokenizer_config.json"), """{"tokenizer_class": "XLMRobertaTokenizer"}""");
        Assert.Contains("other ids", Assert.Throws<TokenizerException>(() => HfTokenizer.Load(folder.Path)).Message, StringComparison.Ordinal);
        File.WriteAllText(folder.PathOf("tokenizer_config.json"), """{"tokenizer_class": "T5Tokenizer", "eos_token": "</s>"}""");
        Assert.Equal(2, HfTokenizer.Load(folder.Path).Encode("the", true).Ids[^1]);
    }
}
