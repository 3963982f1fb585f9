using System.Text.Json.Nodes;
using Trainer.Engine.Gguf;
using Trainer.Engine.Tests.Models;
using Trainer.Models.Families;
using Trainer.Tokenizers;

namespace Trainer.Engine.Tests.Adapters;

/// <summary>GGUF names the tokens that begin and end a text as this program's own tokenizer has them, from whichever file names them.</summary>
[Trait("ring", "model")]
public sealed class GgufSpecialTokensTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("gguf-tokens-").FullName;

    public GgufSpecialTokensTests()
    {
        foreach (var name in new[] { "config.json", "tokenizer.json", "tokenizer_config.json" })
            File.Copy(Path.Combine(ReferenceData.Embedded, name), Path.Combine(_folder, name));
        Change("config.json", config => (config["bos_token_id"], config["eos_token_id"]) = (1, 0));
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("""{"eos_token":"<|im_end|>","bos_token":"<|endoftext|>"}""", null, null, 0, 2, false)]
    [InlineData("""{"eos_token":null}""", null, null, 1, 0, false)]
    [InlineData(null, null, null, 1, 0, false)]
    [InlineData(null, """{"eos_token":"<|im_end|>","bos_token":{"content":"<|im_start|>"}}""", null, 1, 2, false)]
    [InlineData("""{"tokenizer_class":"LlamaTokenizerFast","add_bos_token":true,"bos_token":"<|endoftext|>","eos_token":"<|im_end|>"}""", null, null, 0, 2,
        true)]
    [InlineData("""{"eos_token":"<|im_end|>"}""", null,
        """{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<|endoftext|>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[],"special_tokens":{"<|endoftext|>":{"id":"<|endoftext|>","ids":[0],"tokens":["<|endoftext|>"]}}}""",
        0, 2, true)]
    public void They_are(string? config, string? map, string? processor, int bos, int eos, bool addsBos)
    {
        var path = Path.Combine(_folder, "tokenizer_config.json");
        if (config is null) File.Delete(path);
        else File.WriteAllText(path, config);
        if (map is not null) File.WriteAllText(Path.Combine(_folder, "special_tokens_map.json"), map);
        if (processor is not null) Change("tokenizer.json", root => root["post_processor"] = JsonNode.Parse(processor));
        var found = GgufSpecialTokens.Of(_folder, ConfigLoader.Load(_folder)).ToDictionary(pair => pair.Key, pair => pair.Value.Value);
        Assert.Equal(((uint)bos, (uint)eos, addsBos, false),
            ((uint)found["tokenizer.ggml.bos_token_id"], (uint)found["tokenizer.ggml.eos_token_id"], (bool)found["tokenizer.ggml.add_bos_token"],
            (bool)found["tokenizer.ggml.add_eos_token"]));
        var tokenizer = HfTokenizer.Load(_folder);
        Assert.Equal(addsBos ? [bos, .. tokenizer.Encode("hello", false).Ids] : tokenizer.Encode("hello", false).Ids, tokenizer.Encode("hello", true).Ids);
    }

    private void Change(string name, Action<JsonObject> change)
    {
        var path = Path.Combine(_folder, name);
        var root = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        change(root);
        File.WriteAllText(path, root.ToJsonString());
    }
}
