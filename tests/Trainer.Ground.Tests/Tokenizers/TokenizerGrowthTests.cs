using System.Text.Json;
using Trainer.Tokenizers;
using Trainer.Tokenizers.AddedTokens;

namespace Trainer.Ground.Tests.Tokenizers;

/// <summary>Tokens added to a tokenizer's files are found as whole tokens, and everything else is as it was.</summary>
[Trait("ring", "unit")]
public sealed class TokenizerGrowthTests : IDisposable
{
    private const string Text = "hi <|tool|>there, Krakenwort!";
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("tiny-bytelevel", "")]
    [InlineData("tiny-bytelevel", """{"added_tokens_decoder": {"961": {"content": "<|im_start|>", "special": true}}}""")]
    [InlineData("tiny-bytelevel", """{"added_tokens_decoder": {}, "model_max_length": 9}""")]
    [InlineData("tiny-bytefallback", "")]
    [InlineData("tiny-unigram", "")]
    public void A_tokenizer_json_finds_them_as_a_whole(string name, string config)
    {
        File.WriteAllBytes(_folder.PathOf("tokenizer.json"), GoldenFiles.Unzip(Path.Combine(GoldenFiles.Fixtures, name, "tokenizer.json.gz")));
        if (config.Length > 0) File.WriteAllText(_folder.PathOf("tokenizer_config.json"), config);
        Check();
        if (config.Contains("961", StringComparison.Ordinal))
            Assert.Equal(4, JsonDocument.Parse(File.ReadAllText(_folder.PathOf("tokenizer_config.json"))).RootElement.GetProperty("added_tokens_decoder")
                .EnumerateObject().Count());
    }

    [Theory]
    [InlineData("")]
    [InlineData("""{"added_tokens_decoder": {"0": {"content": "<unk>", "special": true}}}""")]
    public void So_does_a_tokenizer_model_with_files_beside_it(string config)
    {
        File.WriteAllBytes(_folder.PathOf("tokenizer.model"), SentencePieceWriter.Write(
            [("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3), .. Enumerable.Range(' ' + 1, 94).Select(letter => (((char)letter).ToString(), -4f - letter, 1)),
            ("\u2581", -3, 1)], 2, false, false));
        if (config.Length > 0) File.WriteAllText(_folder.PathOf("tokenizer_config.json"), config);
        Check();
    }

    [Fact]
    public void A_file_without_a_list_gets_one_and_a_damaged_one_is_named()
    {
        File.WriteAllText(_folder.PathOf("tokenizer.json"), """{"version":"1.0","model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":[]}}""");
        TokenizerGrowth.Add(_folder.Path, [("cc", 2)]);
        Assert.Equal([0, 2, 1], HfTokenizer.Load(_folder.Path).Encode("accb", false).Ids);
        File.WriteAllText(_folder.PathOf("tokenizer.json"), "{\"added_tokens\": [");
        Assert.Contains("tokenizer.json", Assert.Throws<TokenizerException>(() => TokenizerGrowth.Add(_folder.Path, [("dd", 3)])).Message,
            StringComparison.Ordinal);
    }

    private void Check()
    {
        var before = HfTokenizer.Load(_folder.Path);
        var next = before.NextId;
        TokenizerGrowth.Add(_folder.Path, [("<|tool|>", next), ("Krakenwort", next + 1)]);
        var after = HfTokenizer.Load(_folder.Path);
        Assert.Equal(next + 2, after.NextId);
        Assert.Equal([next], after.Encode("<|tool|>", false).Ids);
        var ids = after.Encode(Text, false).Ids;
        Assert.Equal([next, next + 1], ids.Where(id => id >= next));
        Assert.Contains("<|tool|>", after.Decode(ids, skipSpecialTokens: true), StringComparison.Ordinal);
        Assert.Equal(before.Encode("hi there!", true).Ids, after.Encode("hi there!", true).Ids);
        // Once more, on what was added before.
        TokenizerGrowth.Add(_folder.Path, [("\"quoted\\ \u00e4", next + 2)]);
        Assert.Equal([next + 2], HfTokenizer.Load(_folder.Path).Encode("\"quoted\\ \u00e4", false).Ids);
    }
}
