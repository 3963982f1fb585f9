using Trainer.Tokenizers;

namespace Trainer.Ground.Tests.Tokenizers;

/// <summary>What stands beside a tokenizer, with transformers' precedence.</summary>
[Trait("ring", "unit")]
public sealed class FilesBesideTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private HfTokenizer Json(params (string Name, string Content)[] files)
    {
        File.WriteAllBytes(_folder.PathOf("tokenizer.json"), GoldenFiles.Unzip(Path.Combine(GoldenFiles.Fixtures, "tiny-bytelevel", "tokenizer.json.gz")));
        return Load(files);
    }

    private HfTokenizer Load(params (string Name, string Content)[] files)
    {
        foreach (var (name, content) in files) File.WriteAllText(_folder.PathOf(name), content);
        return HfTokenizer.Load(_folder.Path);
    }

    /// <summary>Pieces a to c and their joints, after unk, bos and eos.</summary>
    private void Model() => File.WriteAllBytes(_folder.PathOf("tokenizer.model"), SentencePieceWriter.Write(
        [("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3), ("▁", -3, 1), ("a", -4, 1), ("b", -5, 1), ("▁a", -1, 1), ("▁b", -2, 1)], 2, false, false));

    private static string Ids(HfTokenizer tokenizer, string text) => string.Join(' ', tokenizer.Encode(text, false).Ids);

    [Fact]
    public void Flags_of_the_configurations_added_tokens_win()
    {
        const string Config =
            """{"added_tokens_decoder":{"961":{"content":"<|im_start|>","rstrip":true,"normalized":false,"special":true},"962":{"content":"<|im_end|>","lstrip":true,"rstrip":true,"normalized":false,"special":true}}}""";
        Assert.Equal("961 319 313 105 962 120", Ids(Json(("tokenizer_config.json", Config)), "<|im_start|>  user hi  <|im_end|>\n x"));
    }

    [Fact]
    public void An_id_that_contradicts_the_vocabulary_is_refused() =>
        Assert.Contains("has id 5 here but 961",
        Assert.Throws<TokenizerException>(() => Json(("tokenizer_config.json", """{"added_tokens_decoder":{"5":{"content":"<|im_start|>"}}}"""))).Message,
        StringComparison.Ordinal);

    [Fact]
    public void The_map_names_roles_only_without_a_decoder_in_the_configuration()
    {
        const string Map = """{"eos_token":{"content":"<|im_start|>"}}""";
        Assert.Equal("<|im_start|>", Json(("special_tokens_map.json", Map), ("tokenizer_config.json", """{"eos_token":"<|im_end|>"}""")).EosToken);
        Assert.Equal("<|im_end|>", Json(("tokenizer_config.json", """{"eos_token":"<|im_end|>","added_tokens_decoder":{}}""")).EosToken);
    }

    [Fact]
    public void A_decoder_in_the_configuration_leaves_the_map_no_word()
    {
        const string Map = """{"bos_token":"<|im_start|>","additional_special_tokens":["user"]}""";
        const string Config = """{"eos_token":"<|im_end|>","bos_token":null,"added_tokens_decoder":{"962":{"content":"<|im_end|>","special":true}}}""";
        var tokenizer = Json(("special_tokens_map.json", Map), ("tokenizer_config.json", Config));
        Assert.Equal((null, "<|im_end|>", false), (tokenizer.BosToken, tokenizer.EosToken, tokenizer.IsSpecial(319)));
    }

    [Theory]
    [InlineData("""{"image_token":"user"}""")]
    [InlineData("""{"image_token":{"content":"user"}}""")]
    [InlineData("""{"extra_special_tokens":{"image_token":"user"}}""")]
    public void Tokens_that_a_model_names_for_itself_are_special(string config)
    {
        var tokenizer = Json(("tokenizer_config.json", config));
        Assert.True(tokenizer.IsSpecial(319));
        // As a whole wherever it stands; of the vocabulary alone it would be part of " user".
        Assert.Equal("32 319", Ids(tokenizer, " user"));
    }

    [Fact]
    public void Special_tokens_that_are_to_be_cut_are_refused() =>
        Assert.Contains("split_special_tokens",
        Assert.Throws<TokenizerException>(() => Json(("tokenizer_config.json", """{"split_special_tokens":true}"""))).Message, StringComparison.Ordinal);

    [Fact]
    public void Added_tokens_of_their_own_file_are_found_and_special_where_they_have_a_role()
    {
        Model();
        var tokenizer = Load(("added_tokens.json", """{"<|b|>": 9, "<|a|>": 8}"""),
            ("special_tokens_map.json", """{"additional_special_tokens": ["<|a|>"], "eos_token": "</s>"}"""));
        Assert.Equal("8 9", Ids(tokenizer, "<|a|><|b|>"));
        Assert.Equal((true, false, 10), (tokenizer.IsSpecial(8), tokenizer.IsSpecial(9), tokenizer.VocabularySize));
        Assert.Contains("says id 11, but the vocabulary gives it 8",
            Assert.Throws<TokenizerException>(() => Load(("added_tokens.json", """{"<|a|>": 11}"""))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_role_makes_a_token_of_the_vocabulary_special()
    {
        var json = System.Text.Encoding.UTF8.GetBytes(
            """{"version": "1.0", "model": {"type": "BPE", "unk_token": "?", "vocab": {"?": 0, "<": 1, "e": 2, ">": 3, "<e>": 4}, "merges": []}}""");
        Assert.Equal("1 2 3", Ids(HfTokenizer.FromJson(json, "t"), "<e>"));
        var tokenizer = HfTokenizer.FromJson(json, "t", System.Text.Encoding.UTF8.GetBytes("""{"eos_token": "<e>", "pad_token": "<absent>"}"""));
        Assert.Equal("4", Ids(tokenizer, "<e>"));
        Assert.Equal((true, 4, 5), (tokenizer.IsSpecial(4), tokenizer.EosId, tokenizer.VocabularySize));
    }

    /// <summary>Ids seen with transformers: behind a special token no space is put.</summary>
    [Fact]
    public void Legacy_false_puts_a_space_before_the_whole_text_alone()
    {
        Model();
        Assert.Equal("6 2 6 2 3 7", Ids(Load(), "a</s>a</s> b"));
        Assert.Equal("6 2 4 2 7", Ids(Load(("tokenizer_config.json", """{"legacy": false}""")), "a</s>a</s> b"));
        Assert.Equal("2 4", Ids(Load(), "</s>a"));
        File.WriteAllBytes(_folder.PathOf("tokenizer.model"), SentencePieceWriter.Write(
            [("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3), ("▁", -3, 1), ("a", -4, 1), ("b", -5, 1), ("▁a", -1, 1), ("▁b", -2, 1)], 2, false,
            removeExtraSpaces: true));
        Assert.Equal("6 2 4 2 7", Ids(Load(), "a</s>a </s>  b "));
        Assert.Equal("4 2 4 2 5", Ids(Load(("tokenizer_config.json", """{"add_prefix_space": false}""")), "a</s>a</s> b"));
    }
}
