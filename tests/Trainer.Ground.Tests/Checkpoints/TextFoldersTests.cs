using Trainer.Checkpoints.Folders;

namespace Trainer.Ground.Tests.Checkpoints;

/// <summary>Tokenizer and chat template of an adapter's folder go before those of its base.</summary>
[Trait("ring", "unit")]
public sealed class TextFoldersTests
{
    [Theory]
    [InlineData("tokenizer.json chat_template.jinja", "a", "a")]
    [InlineData("tokenizer.json", "a", "m")]
    [InlineData("chat_template.jinja", "m", "a")]
    [InlineData("tokenizer.model chat_template.json", "a", "a")]
    [InlineData("adapter_config.json", "m", "m")]
    public void What_an_adapter_brings_is_taken_and_the_rest_is_the_base_s(string files, string tokenizer, string template)
    {
        using var temp = new TempFolder();
        temp.Write("m/tokenizer.json", "m");
        temp.Write("m/chat_template.jinja", "m");
        foreach (var file in files.Split(' ')) temp.Write("a/" + file, "a");
        Assert.Equal(new TextFolders(temp[tokenizer], temp[template]), TextFolders.Of(temp["m"], temp["a"]));
        Assert.Equal(new TextFolders(temp["m"], temp["m"]), TextFolders.Of(temp["m"], null));
    }

    [Fact]
    public void A_checkpoint_has_the_text_of_its_run()
    {
        using var temp = new TempFolder();
        temp.Write("run/tokenizer.json", "r");
        temp.Write("run/checkpoint-3/adapter_config.json", "{}");
        Assert.Equal(new TextFolders(temp["run"], temp["m"]), TextFolders.Of(temp["m"], temp["run", "checkpoint-3"]));
    }

    [Fact]
    public void A_template_in_the_config_of_another_folder_becomes_a_file()
    {
        using var temp = new TempFolder();
        temp.Write("m/tokenizer_config.json", """{"chat_template":[{"name":"tool_use","template":"t"},{"name":"default","template":"of the base"}]}""");
        temp.Write("m/tokenizer.json", "m");
        temp.Write("m/generation_config.json", "g");
        temp.Write("m/additional_chat_templates/more.jinja", "more");
        temp.Write("a/tokenizer.json", "a");
        temp.Write("a/special_tokens_map.json", "{}");
        Directory.CreateDirectory(temp["out"]);
        ModelFolderFiles.CopyCompanions(temp["m"], temp["out"], TextFolders.Of(temp["m"], temp["a"]));
        Assert.Equal("a", File.ReadAllText(temp["out", "tokenizer.json"]));
        Assert.Equal("of the base", File.ReadAllText(temp["out", "chat_template.jinja"]));
        Assert.Equal("g", File.ReadAllText(temp["out", "generation_config.json"]));
        Assert.Equal("more", File.ReadAllText(temp["out", "additional_chat_templates", "more.jinja"]));
        Assert.True(File.Exists(temp["out", "special_tokens_map.json"]));
        Assert.False(File.Exists(temp["out", "tokenizer_config.json"]));
    }
}
