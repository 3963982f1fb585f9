using System.Text.Json;
using Trainer.Templates;

namespace Trainer.Ground.Tests.ChatTemplates;

[Trait("ring", "unit")]
public sealed class ChatTemplateSetTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("templates-");

    public void Dispose() => _folder.Delete(true);

    [Fact]
    public void A_folder_without_a_template_has_none()
    {
        Assert.Null(ChatTemplate.Load(_folder.FullName));
        Write("tokenizer_config.json", """{"chat_template": null}""");
        Assert.Null(ChatTemplateSet.Load(_folder.FullName));
    }

    [Fact]
    public void A_string_in_the_config_is_the_default_and_special_tokens_are_its_variables()
    {
        Write("tokenizer_config.json",
            """{"bos_token": {"content": "<s>"}, "eos_token": "</s>", "pad_token": null, "chat_template": "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}{{ pad_token is defined }}"}""");
        Assert.Equal("<s>Hi</s>False", Render(ChatTemplate.Load(_folder.FullName)!));
    }

    [Fact]
    public void The_map_of_special_tokens_wins_unless_the_config_has_added_tokens_of_its_own()
    {
        Write("tokenizer_config.json", """{"eos_token": "</s>", "chat_template": "{{ bos_token }}{{ eos_token }}"}""");
        Write("special_tokens_map.json", """{"bos_token": "<s>", "eos_token": "other"}""");
        Assert.Equal("<s>other", Render(ChatTemplate.Load(_folder.FullName)!));
        Write("tokenizer_config.json", """{"eos_token": "</s>", "added_tokens_decoder": {}, "chat_template": "{{ bos_token }}{{ eos_token }}"}""");
        // The map is not read then, as transformers does not.
        Assert.Equal("</s>", Render(ChatTemplate.Load(_folder.FullName)!));
    }

    [Fact]
    public void A_list_gives_tool_use_to_conversations_with_tools()
    {
        Write("tokenizer_config.json", """{"chat_template": [{"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"}]}""");
        var set = ChatTemplateSet.Load(_folder.FullName)!;
        Assert.Equal(("d", "t"), (set.For(false).Source, set.For(true).Source));
    }

    [Fact]
    public void Files_win_over_the_config_and_an_override_over_all()
    {
        Write("tokenizer_config.json", """{"chat_template": "config"}""");
        Write("chat_template.json", """{"chat_template": "processor"}""");
        Write("chat_template.jinja", "file");
        Directory.CreateDirectory(Path.Combine(_folder.FullName, "additional_chat_templates"));
        Write("additional_chat_templates/tool_use.jinja", "tools");
        Write("mine.jinja", "mine");
        var set = ChatTemplateSet.Load(_folder.FullName)!;
        Assert.Equal(("file", "tools"), (set.Default.Source, set.For(true).Source));
        Assert.Equal("mine", ChatTemplateSet.Load(_folder.FullName, Path.Combine(_folder.FullName, "mine.jinja"))!.For(true).Source);
    }

    [Fact]
    public void A_processors_json_is_the_last_place()
    {
        Write("chat_template.json", """{"chat_template": "processor"}""");
        Assert.Equal("processor", ChatTemplate.Load(_folder.FullName)!.Source);
    }

    [Theory]
    [InlineData("""{"chat_template": 5}""", "must be a string or a list")]
    [InlineData("""{"chat_template": [{"name": "x"}]}""", "must be a string or a list")]
    [InlineData("""{"chat_template": """, "no valid JSON")]
    [InlineData("""{"chat_template": "{% if %}"}""", "line 1")]
    [InlineData("[]", "no JSON object")]
    public void Damaged_files_are_named(string config, string part)
    {
        Write("tokenizer_config.json", config);
        var error = Assert.Throws<TemplateException>(() => ChatTemplateSet.Load(_folder.FullName));
        Assert.Contains(part, error.Message, StringComparison.Ordinal);
        Assert.Contains("tokenizer_config.json", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Several_templates_without_a_default_are_refused()
    {
        Write("tokenizer_config.json", """{"chat_template": [{"name": "rag", "template": "r"}, {"name": "tool_use", "template": "t"}]}""");
        var set = ChatTemplateSet.Load(_folder.FullName)!;
        Assert.Equal("t", set.For(true).Source);
        Assert.Contains("'rag'", Assert.Throws<TemplateException>(() => set.Default).Message, StringComparison.Ordinal);
    }

    private void Write(string name, string text) => File.WriteAllText(Path.Combine(_folder.FullName, name), text);

    private static string Render(ChatTemplate template) =>
        template.Render(new TemplateInput { Messages = JsonDocument.Parse("""[{"role":"user","content":"Hi"}]""").RootElement }).Text;
}
