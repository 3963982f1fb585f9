using System.Text.Json.Nodes;
using Trainer.Tokenizers;

namespace Trainer.Ground.Tests.Tokenizers;

/// <summary>Special tokens that no file names: transformers' classes have their own.</summary>
[Trait("ring", "unit")]
public sealed class ClassTokenTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>Letters and bytes with unk 0, bos 1 and eos 2, and after them the tokens named; its template puts bos before a text.</summary>
    private HfTokenizer Load(string config, string? map = null, params string[] more)
    {
        var json = JsonNode.Parse(GoldenFiles.Unzip(Path.Combine(GoldenFiles.Fixtures, "tiny-bytefallback", "tokenizer.json.gz")))!;
        var added = json["added_tokens"]!.AsArray();
        var id = 1180;
        foreach (var token in more) added.Add(new JsonObject { ["id"] = id++, ["content"] = token, ["special"] = true });
        File.WriteAllText(_folder.PathOf("tokenizer.json"), json.ToJsonString());
        File.WriteAllText(_folder.PathOf("tokenizer_config.json"), config);
        if (map is not null) File.WriteAllText(_folder.PathOf("special_tokens_map.json"), map);
        return HfTokenizer.Load(_folder.Path);
    }

    [Theory]
    [InlineData("""{"tokenizer_class":"LlamaTokenizer"}""", 1, 2, null, 0)]
    [InlineData("""{"tokenizer_class":"LlamaTokenizerFast","eos_token":"<|end|>"}""", 1, 1179, null, 0)]
    [InlineData("""{"tokenizer_class":"LlamaTokenizer","added_tokens_decoder":{}}""", 1, 2, null, 0)]
    [InlineData("""{"tokenizer_class":"CodeLlamaTokenizer"}""", 1, 2, null, 0)]
    [InlineData("""{"tokenizer_class":"T5Tokenizer"}""", null, 2, null, 0)]
    [InlineData("""{"tokenizer_class":"XLMRobertaTokenizerFast"}""", 1, 2, null, 0)]
    [InlineData("""{"tokenizer_class":"BloomTokenizerFast"}""", 1, 2, null, 0)]
    [InlineData("""{"tokenizer_class":"PreTrainedTokenizerFast"}""", null, null, null, null)]
    [InlineData("""{"tokenizer_class":"TokenizersBackend"}""", null, null, null, null)]
    [InlineData("""{"tokenizer_class":"GPT2Tokenizer"}""", null, null, null, null)]
    [InlineData("{}", null, null, null, null)]
    [InlineData("""{"tokenizer_class":null}""", null, null, null, null)]
    public void A_role_that_no_file_names_has_the_token_of_the_class(string config, int? bos, int? eos, int? pad, int? unk)
    {
        var tokenizer = Load(config);
        Assert.Equal((bos, eos, pad, unk), (tokenizer.BosId, tokenizer.EosId, tokenizer.PadId, tokenizer.UnkId));
        // A template must not be told of a token that is none.
        Assert.Equal((bos is null, eos is null), (tokenizer.BosToken is null, tokenizer.EosToken is null));
    }

    [Theory]
    [InlineData("GPT2TokenizerFast", 1180, 1180, null)]
    [InlineData("GPTNeoXTokenizerFast", 1180, 1180, null)]
    [InlineData("CodeGenTokenizer", 1180, 1180, null)]
    [InlineData("Qwen2Tokenizer", null, 1180, 1180)]
    [InlineData("GemmaTokenizerFast", 1181, 1182, 1183)]
    public void Each_class_has_its_own(string name, int? bos, int? eos, int? pad)
    {
        var tokenizer = Load($$"""{"tokenizer_class":"{{name}}","add_bos_token":false}""", null, "<|endoftext|>", "<bos>", "<eos>", "<pad>");
        Assert.Equal((bos, eos, pad), (tokenizer.BosId, tokenizer.EosId, tokenizer.PadId));
    }

    [Fact]
    public void What_a_file_names_wins_and_null_is_a_name()
    {
        Assert.Equal(("<|user|>", "</s>"), Pair(Load("""{"tokenizer_class":"LlamaTokenizer"}""", """{"bos_token":"<|user|>"}""")));
        Assert.Equal(("<s>", null), Pair(Load("""{"tokenizer_class":"LlamaTokenizer","eos_token":null}""", "{}")));
        Assert.Equal((null, "</s>"), Pair(Load("""{"tokenizer_class":"LlamaTokenizer","add_bos_token":false}""", """{"bos_token":null}""")));

        static (string?, string?) Pair(HfTokenizer tokenizer) => (tokenizer.BosToken, tokenizer.EosToken);
    }

    [Fact]
    public void The_class_puts_its_token_before_a_text()
    {
        Assert.Equal(1, Load("""{"tokenizer_class":"LlamaTokenizer"}""").Encode("is", true).Ids[0]);
        var ids = Load("""{"tokenizer_class":"LlamaTokenizer","add_eos_token":true}""").Encode("is", true).Ids;
        Assert.Equal((1, 2), (ids[0], ids[^1]));
        // None at all: the file's own template counts, as version 5 of transformers has it.
        Assert.Equal(1, Load("""{"tokenizer_class":"LlamaTokenizer","bos_token":null}""").Encode("is", true).Ids[0]);
        ids = Load("""{"tokenizer_class":"LlamaTokenizer","bos_token":null,"add_eos_token":true}""").Encode("is", true).Ids;
        Assert.Equal((false, 2), (ids[0] == 1, ids[^1]));
    }

    [Theory]
    [InlineData("""{"tokenizer_class":"GemmaTokenizer"}""")]
    [InlineData("""{"tokenizer_class":"LlamaTokenizer","bos_token":null,"add_bos_token":true}""")]
    public void A_token_that_is_to_be_put_and_is_not_there_is_refused(string config) =>
        Assert.Contains("add_bos_token is on, but no bos_token is named", Assert.Throws<TokenizerException>(() => Load(config)).Message,
        StringComparison.Ordinal);

    [Fact]
    public void The_token_of_a_class_is_found_in_text_as_a_whole()
    {
        // Of the vocabulary, and in no list of added tokens.
        var json = JsonNode.Parse(GoldenFiles.Unzip(Path.Combine(GoldenFiles.Fixtures, "tiny-bytefallback", "tokenizer.json.gz")))!;
        json["added_tokens"] = new JsonArray([.. json["added_tokens"]!.AsArray().Where(token => (int)token!["id"]! != 2).Select(token => token!.DeepClone())]);
        File.WriteAllText(_folder.PathOf("tokenizer.json"), json.ToJsonString());
        File.WriteAllText(_folder.PathOf("tokenizer_config.json"), """{"tokenizer_class":"LlamaTokenizer"}""");
        var tokenizer = HfTokenizer.Load(_folder.Path);
        Assert.Contains(2, tokenizer.Encode("a</s>b", false).Ids);
        Assert.True(tokenizer.IsSpecial(2));
    }
}
