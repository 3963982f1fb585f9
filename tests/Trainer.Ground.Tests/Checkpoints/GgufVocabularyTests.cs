using System.IO.Compression;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Gguf;

namespace Trainer.Ground.Tests.Checkpoints;

[Trait("ring", "unit")]
public sealed class GgufVocabularyTests
{
    private static Dictionary<string, GgufValue> Read(string folder, int size, string modelType = "llama")
        => GgufVocabulary.Read(folder, size, modelType).ToDictionary(pair => pair.Key, pair => pair.Value);

    [SkippableTheory]
    [InlineData("lenml-llama3_1", 128_256, "gpt2", "llama-bpe", 128_000)]
    [InlineData("lenml-qwen2_5", 151_936, "gpt2", "qwen2", 0)]
    [InlineData("lenml-mistral_nemo", 131_072, "gpt2", "tekken", 1)]
    [InlineData("ort-phi-2", 51_200, "gpt2", "gpt-2", 0)]
    [InlineData("ort-phi-3-mini", 32_064, "llama", "default", 1)]
    public void Real_tokenizers_are_named_as_llama_cpp_names_them(string tokenizer, int size, string model, string pre, int bosId)
    {
        var zipped = Fixture.Shared("golden", "tokenization", "tokenizers", tokenizer);
        Skip.If(zipped is null, "the reference tokenizers beside the repository are absent");
        using var temp = new TempFolder();
        foreach (var name in new[] { "tokenizer.json", "tokenizer_config.json" })
        {
            using var source = new GZipStream(File.OpenRead(Path.Combine(zipped, name + ".gz")), CompressionMode.Decompress);
            using var target = File.Create(temp[name]);
            source.CopyTo(target);
        }
        var found = Read(temp.Path, size);
        Assert.Equal((model, pre), ((string)found["tokenizer.ggml.model"].Value, (string)found["tokenizer.ggml.pre"].Value));
        Assert.Equal(size, ((string[])found["tokenizer.ggml.tokens"].Value).Length);
        if (bosId > 0) Assert.Equal(3, ((int[])found["tokenizer.ggml.token_type"].Value)[bosId]);
    }

    [Theory]
    [InlineData("llama", """{"type":"Digits","individual_digits":true},{"type":"ByteLevel","add_prefix_space":false,"use_regex":true}""", "smollm")]
    [InlineData("granite", """{"type":"Digits","individual_digits":true},{"type":"ByteLevel","add_prefix_space":false}""", "refact")]
    [InlineData("granite", """{"type":"Digits","individual_digits":false},{"type":"ByteLevel","add_prefix_space":false}""", null)]
    [InlineData("llama", """{"type":"ByteLevel","add_prefix_space":false}""", "gpt-2")]
    [InlineData("llama", """{"type":"ByteLevel","add_prefix_space":true}""", null)]
    [InlineData("llama", """{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}""", null)]
    public void Digits_that_stand_alone_have_the_name_of_who_brought_them(string modelType, string steps, string? name)
    {
        using var temp = new TempFolder();
        temp.Write("tokenizer.json",
            """{"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"decoder":{"type":"ByteLevel"},"pre_tokenizer":{"type":"Sequence","pretokenizers":["""
            + steps + "]}}");
        if (name is null)
        {
            Assert.Contains("no name in llama.cpp", Assert.Throws<BadFileException>(() => Read(temp.Path, 1, modelType)).Message);
            return;
        }
        Assert.Equal(name, Read(temp.Path, 1, modelType)["tokenizer.ggml.pre"].Value);
    }

    [Fact]
    public void A_splitter_that_llama_cpp_has_no_name_for_is_refused()
    {
        using var temp = new TempFolder();
        temp.Write("tokenizer.json", """
            {"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"decoder":{"type":"ByteLevel"},
             "pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"[a-z]+"}},{"type":"ByteLevel","use_regex":false}]}}
            """);
        Assert.Contains("no name in llama.cpp", Assert.Throws<BadFileException>(() => Read(temp.Path, 1)).Message);
    }

    [Fact]
    public void Missing_ids_are_filled_and_kinds_of_tokens_are_told_apart()
    {
        using var temp = new TempFolder();
        temp.Write("tokenizer.json", """
            {"added_tokens":[{"id":0,"content":"<unk>","special":true},{"id":1,"content":"<s>","special":true},{"id":6,"content":"tool","special":false}],
             "normalizer":{"type":"Prepend","prepend":"\u2581"},"decoder":{"type":"ByteFallback"},"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}}]},
             "model":{"type":"BPE","unk_token":"<unk>","byte_fallback":true,"vocab":{"<unk>":0,"<s>":1,"<0x0A>":2,"a":3,"b":4,"ab":5},"merges":[["a","b"]]}}
            """);
        temp.Write("tokenizer_config.json",
            """{"bos_token":{"content":"<s>"},"unk_token":"<unk>","chat_template":[{"name":"tool_use","template":"t"},{"name":"default","template":"d"}]}""");
        var found = Read(temp.Path, 8);
        Assert.Equal(["<unk>", "<s>", "<0x0A>", "a", "b", "ab", "tool", "[PAD7]"], (string[])found["tokenizer.ggml.tokens"].Value);
        Assert.Equal([2, 3, 6, 1, 1, 1, 4, 5], (int[])found["tokenizer.ggml.token_type"].Value);
        Assert.Equal(0f, ((float[])found["tokenizer.ggml.scores"].Value)[5]);
        Assert.Equal((true, "d"), (found["tokenizer.ggml.add_space_prefix"].Value, found["tokenizer.chat_template"].Value));
        Assert.Contains("do not belong together", Assert.Throws<BadFileException>(() => Read(temp.Path, 5)).Message);
        Assert.Contains("needs the model's tokenizer.json", Assert.Throws<BadFileException>(() => Read(temp["none"], 5)).Message);
    }
}
