using System.Buffers;
using System.Text.Json.Nodes;
using Microsoft.ML.Tokenizers;
using Trainer.Tokenizers;

namespace Trainer.Ground.Tests.Tokenizers;

[Trait("ring", "unit")]
public class HfTokenizerTests
{
    [Fact]
    public void A_program_that_takes_a_Microsoft_tokenizer_can_take_this_one()
    {
        var own = GoldenFiles.Load("tiny-bytelevel");
        Tokenizer tokenizer = own;
        const string Text = "The words of 𝒜 and 漢字, twice.";
        var expected = own.Encode(Text, false);
        Assert.Equal(expected.Ids, tokenizer.EncodeToIds(Text));
        Assert.Equal(expected.Ids, tokenizer.EncodeToIds(Text.AsSpan()));
        Assert.Equal(expected.Ids.Length, tokenizer.CountTokens(Text));
        Assert.Equal(Text, tokenizer.Decode(expected.Ids));
        var tokens = tokenizer.EncodeToTokens(Text, out _);
        Assert.Equal(expected.Offsets, tokens.Select(token => (token.Offset.Start.Value, token.Offset.End.Value)));
        Assert.Equal(expected.Ids.Select(own.TokenOf), tokens.Select(token => token.Value));
        var first = tokenizer.EncodeToIds(Text, 5, out _, out var consumed);
        Assert.Equal(expected.Ids.Take(first.Count), first);
        Assert.Equal(Text[..consumed], tokenizer.Decode(first));
        var index = tokenizer.GetIndexByTokenCount(Text, 4, out _, out var count);
        Assert.Equal(Text[..index], tokenizer.Decode(expected.Ids.Take(count)));
        Assert.Throws<NotSupportedException>(() => tokenizer.EncodeToIds(Text, considerPreTokenization: false));
    }

    [Fact]
    public void A_limit_never_cuts_the_bytes_of_one_letter_apart()
    {
        Tokenizer tokenizer = GoldenFiles.Load("tiny-bytelevel");
        var all = tokenizer.EncodeToIds("漢字");
        Assert.True(all.Count > 2);
        for (var limit = 1; limit <= all.Count; limit++)
        {
            var ids = tokenizer.EncodeToIds("漢字", limit, out _, out var consumed);
            Assert.Equal("漢字"[..consumed], tokenizer.Decode(ids));
        }
    }

    [Fact]
    public void Decoding_into_a_span_stops_where_it_is_full()
    {
        Tokenizer tokenizer = GoldenFiles.Load("tiny-bytefallback");
        var ids = tokenizer.EncodeToIds("one two three");
        var buffer = new char[64];
        Assert.Equal(OperationStatus.Done, tokenizer.Decode(ids, buffer, out var consumed, out var written));
        Assert.Equal((ids.Count, "one two three"), (consumed, new string(buffer, 0, written)));
        Assert.Equal(OperationStatus.DestinationTooSmall, tokenizer.Decode(ids, buffer.AsSpan(0, 5), out consumed, out written));
        Assert.Equal(tokenizer.Decode(ids.Take(consumed)), new string(buffer, 0, written));
    }

    [Fact]
    public void Roles_come_as_text_or_object_and_the_map_counts_for_old_configurations_only()
    {
        Assert.Equal("</s>", Load("""{"bos_token":{"content":"<s>","lstrip":false},"eos_token":"</s>"}""").EosToken);
        var tokenizer = Load("""{"bos_token":{"content":"<s>"},"eos_token":null,"unk_token":"<unk>"}""",
            """{"eos_token":"<s>","pad_token":{"content":"</s>"}}""");
        Assert.Equal((1, 1, 2, 0), (tokenizer.BosId, tokenizer.EosId, tokenizer.PadId, tokenizer.UnkId));
        Assert.Equal("<s>", tokenizer.BosToken);
        tokenizer = Load("""{"eos_token":"</s>","added_tokens_decoder":{"2":{"content":"</s>","special":true}}}""", """{"eos_token":"<s>"}""");
        Assert.Equal("</s>", tokenizer.EosToken);
        Assert.Null(tokenizer.BosId);
    }

    [Theory]
    [InlineData("""{"tokenizer_class":"LlamaTokenizer","bos_token":"<s>","eos_token":"</s>"}""", true, false)]
    [InlineData("""{"tokenizer_class":"LlamaTokenizerFast","add_bos_token":false,"add_eos_token":true,"bos_token":"<s>","eos_token":"</s>"}""", false, true)]
    [InlineData("""{"tokenizer_class":"LlamaTokenizer","add_eos_token":true,"bos_token":{"content":"<s>"},"eos_token":"</s>"}""", true, true)]
    [InlineData("""{"tokenizer_class":"PreTrainedTokenizerFast","add_bos_token":false,"bos_token":"<s>"}""", true, false)]
    public void Llama_classes_build_their_template_from_the_configuration(string config, bool bos, bool eos)
    {
        var ids = Load(config).Encode("is", true).Ids;
        Assert.Equal((bos, eos), (ids[0] == 1, ids[^1] == 2));
        Assert.Equal(ids.Length - (bos ? 1 : 0) - (eos ? 1 : 0), Load(config).Encode("is", false).Ids.Length);
    }

    [Fact]
    public void Tokens_that_only_the_configuration_names_are_found_in_text()
    {
        var plain = Load("{}");
        var next = plain.VocabularySize;
        var tokenizer = Load("{\"added_tokens_decoder\":{\"" + next
            + "\":{\"content\":\"<new>\",\"special\":true},\"1\":{\"content\":\"<s>\",\"special\":true}}}");
        Assert.Contains(next, tokenizer.Encode("a<new>b", false).Ids);
        Assert.True(tokenizer.IsSpecial(next));
        Assert.Equal(next + 1, tokenizer.VocabularySize);
        Assert.Throws<TokenizerException>(() => Load("""{"added_tokens_decoder":{"7":{"content":"<s>"}}}"""));
        Assert.Throws<TokenizerException>(() => Load("""{"added_tokens_decoder":{"99999":{"content":"<new>"}}}"""));
    }

    [Fact]
    public void Lone_surrogates_count_as_replacement_characters()
    {
        var tokenizer = GoldenFiles.Load("tiny-bytelevel");
        Assert.Equal(tokenizer.Encode("a\uFFFDb\uFFFD", false).Ids, tokenizer.Encode("a\uD800b\uDC00", false).Ids);
        Assert.Equal(tokenizer.Encode("a\uFFFD𝒜", false).Ids, tokenizer.Encode("a\uD835\uD835\uDC9C", false).Ids);
    }

    [Fact]
    public void The_content_hash_changes_with_any_file_that_matters()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.PathOf("tokenizer.json"), GoldenFiles.Unzip(Path.Combine(GoldenFiles.Fixtures, "tiny-bytelevel", "tokenizer.json.gz")));
        var plain = HfTokenizer.Load(folder.Path).ContentHash;
        File.WriteAllText(folder.PathOf("notes.txt"), "x");
        Assert.Equal(plain, HfTokenizer.Load(folder.Path).ContentHash);
        File.WriteAllText(folder.PathOf("tokenizer_config.json"), "{}");
        Assert.NotEqual(plain, HfTokenizer.Load(folder.Path).ContentHash);
        Assert.Equal(64, plain.Length);
    }

    [Fact]
    public void Several_threads_get_what_one_gets()
    {
        var tokenizer = GoldenFiles.Load("tiny-bytefallback");
        var texts = GoldenFiles.Strings.Values.Take(200).ToArray();
        var expected = texts.Select(text => tokenizer.Encode(text, false).Ids).ToArray();
        Parallel.For(0, 4, _ =>
        {
            for (var i = 0; i < texts.Length; i++)
                Assert.Equal(expected[i], tokenizer.Encode(texts[i], false).Ids);
        });
    }

    [Theory]
    [InlineData("a")]
    [InlineData(" ")]
    [InlineData("\n")]
    [InlineData("ab ")]
    [InlineData("\u0301")]
    [InlineData("=-")]
    public void A_million_characters_of_one_kind_take_no_quadratic_time(string unit)
    {
        var text = string.Concat(Enumerable.Repeat(unit, 1_000_000 / unit.Length));
        var watch = System.Diagnostics.Stopwatch.StartNew();
        foreach (var name in new[] { "tiny-bytelevel", "tiny-bytefallback" })
            Assert.Equal(text.Length, GoldenFiles.Load(name).Encode(text, false).Offsets[^1].End);
        // Quadratic work would take minutes; the bound is wide because test machines are busy.
        Assert.True(watch.Elapsed.TotalSeconds < 20, $"{watch.Elapsed.TotalSeconds} s");
    }

    private static HfTokenizer Load(string config, string? map = null)
    {
        using var folder = new TemporaryFolder();
        var json = JsonNode.Parse(GoldenFiles.Unzip(Path.Combine(GoldenFiles.Fixtures, "tiny-bytefallback", "tokenizer.json.gz")))!.ToJsonString();
        File.WriteAllText(folder.PathOf("tokenizer.json"), json);
        File.WriteAllText(folder.PathOf("tokenizer_config.json"), config);
        if (map is not null)
            File.WriteAllText(folder.PathOf("special_tokens_map.json"), map);
        return HfTokenizer.Load(folder.Path);
    }
}
