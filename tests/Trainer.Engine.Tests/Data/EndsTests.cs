using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Data;
using Trainer.Engine.Tests.Data.Chat;

namespace Trainer.Engine.Tests.Data;

/// <summary>Which token ends a text, and which an answer. The tiny model's tokens: 0 end of text, 1 im_start, 2 im_end.</summary>
[Trait("ring", "unit")]
public sealed class EndsTests : IDisposable
{
    private readonly DataFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private ModelText Load(string? tokenizerEos, string? config = null, string? generation = null, int? vocabulary = null)
    {
        var tiny = Path.Combine(MaskFixtures.Repository, "configs", "tiny-model");
        foreach (var file in new[] { "tokenizer.json", "chat_template.jinja" }) _folder.Write(file, File.ReadAllBytes(Path.Combine(tiny, file)));
        var settings = JsonNode.Parse(File.ReadAllText(Path.Combine(tiny, "tokenizer_config.json")))!.AsObject();
        settings.Remove("eos_token");
        if (tokenizerEos is not null) settings["eos_token"] = tokenizerEos;
        _folder.Write("tokenizer_config.json", settings.ToJsonString());
        if (config is not null) _folder.Write("config.json", $$"""{"eos_token_id":{{config}}}""");
        if (generation is not null) _folder.Write("generation_config.json", $$"""{"eos_token_id":{{generation}}}""");
        return ModelText.Load(_folder.Path, vocabularySize: vocabulary);
    }

    private int[] Row(ModelText text, string row = """{"text":"harbour"}""") =>
        [.. DataInspector.Show(DataFolder.Options(_folder.Write("a.jsonl", row)), text).Single().Ids];

    [Fact]
    public void A_text_ends_with_what_any_file_of_the_model_names()
    {
        Assert.Equal(2, Row(Load("<|im_end|>"))[^1]);
        Assert.Equal(0, Row(Load(null, config: "0"))[^1]);
        Assert.Equal(2, Row(Load(null, config: "[2,0]"))[^1]);
        File.Delete(Path.Combine(_folder.Path, "config.json"));
        Assert.Equal(0, Row(Load(null, generation: "0"))[^1]);
    }

    [Fact]
    public void No_end_and_contradicting_ends_are_told()
    {
        Assert.Contains("no file of the model names an end-of-text token", Assert.Single(Load(null).Notes), StringComparison.Ordinal);
        Assert.Empty(Load("<|im_end|>", config: "2", generation: "[0,2]").Notes);
        var note = Assert.Single(Load("<|im_end|>", config: "0", generation: "[0,2]").Notes);
        Assert.Equal("config.json ends text with 0 ('<|endoftext|>'), the tokenizer with 2 ('<|im_end|>'): text rows end with 2 ('<|im_end|>')", note);
    }

    [Fact]
    public void An_end_outside_the_vocabulary_is_refused()
    {
        Assert.Contains("end-of-text token 70000 (config.json) is outside the vocabulary of 384",
            Assert.Throws<DataException>(() => Load(null, config: "70000", vocabulary: 384)).Message, StringComparison.Ordinal);
        Assert.Contains("outside the vocabulary", Assert.Throws<DataException>(() => Load("<|im_end|>", vocabulary: 2)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_end_that_is_named_and_not_there_is_refused_or_told()
    {
        Assert.Contains("the end-of-text token '<|nope|>', which the tokenizer's files name, is not in the vocabulary",
            Assert.Throws<DataException>(() => Load("<|nope|>")).Message, StringComparison.Ordinal);
        var text = Load("<|nope|>", config: "2");
        Assert.Equal("the tokenizer's files end text with '<|nope|>', which is not in the vocabulary: text rows end with 2 ('<|im_end|>')",
            Assert.Single(text.Notes));
        Assert.Equal(2, Row(text)[^1]);
    }

    [Fact]
    public void An_answer_stops_at_the_template_s_own_end_of_turn()
    {
        var text = Load("<|endoftext|>", config: "0");
        Assert.Equal([2], text.TurnEnds);
        Assert.Equal([0, 2], text.StopIds([0]));
    }

    [Fact]
    public void A_prompt_takes_messages_of_any_dialect()
    {
        var text = Load("<|im_end|>");
        var plain = text.Prompt(JsonDocument.Parse("""[{"role":"user","content":"Hi"}]""").RootElement);
        Assert.Equal(plain, text.Prompt(JsonDocument.Parse("""[{"from":"human","value":[{"type":"text","text":"Hi"}],"name":null}]""").RootElement));
        Assert.EndsWith("assistant\n", text.Tokenizer!.Decode(plain, skipSpecialTokens: false), StringComparison.Ordinal);
        Assert.Contains("part of type 'image'",
            Assert.Throws<DataException>(() => text.Prompt(JsonDocument.Parse("""[{"role":"user","content":[{"type":"image"}]}]""").RootElement)).Message,
            StringComparison.Ordinal);
    }
}
