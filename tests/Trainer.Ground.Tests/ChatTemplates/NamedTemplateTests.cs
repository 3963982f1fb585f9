using System.Text.Json;
using Trainer.Templates;

namespace Trainer.Ground.Tests.ChatTemplates;

/// <summary>The templates that come with the program, against published ones that say the same: texts by the interpreter that equals Python's.</summary>
[Trait("ring", "unit")]
public sealed class NamedTemplateTests
{
    private static readonly string Folder = Path.Combine(TemplateFixtures.Repository, "configs", "templates");

    private static readonly Dictionary<string, string> Variables = new() { ["bos_token"] = "<s>", ["eos_token"] = "</s>" };

    public static TheoryData<string> Names
        => [.. Directory.GetFiles(Folder, "*.jinja").Select(file => Path.GetFileNameWithoutExtension(file)!).Order(StringComparer.Ordinal)];

    private static RenderedChat? Render(string source, JsonElement conversation, bool prompt)
    {
        try
        {
            return ChatTemplate.Parse(source, "t").Render(new TemplateInput
            {
                Messages = conversation.GetProperty("messages"),
                AddGenerationPrompt = prompt,
                Variables = Variables.ToDictionary(pair => pair.Key, pair => JsonSerializer.SerializeToElement(pair.Value)),
                Now = TemplateFixtures.Today,
            });
        }
        catch (TemplateException)
        {
            return null;
        }
    }

    /// <summary>Templates that were laid out on indented lines for people render that layout too; meant is what stands without it.</summary>
    private static string WithoutLayout(string source) => string.Concat(source.Split('\n').Select(line => line.Trim()));

    [SkippableTheory]
    [InlineData("chatml", "lcpp__Qwen-Qwen2.5-7B-Instruct", false)]
    [InlineData("phi3", "trl__phi3_training", false)]
    [InlineData("mistral", "cz__mistral-instruct", true)]
    [InlineData("zephyr", "cz__zephyr", true)]
    [InlineData("llama3", "trl__llama3", false)]
    [InlineData("llama2", "cz__llama-2-chat", true)]
    [InlineData("gemma", "cz__gemma-it", true)]
    [InlineData("vicuna", "cz__vicuna", true)]
    [InlineData("alpaca", "cz__alpaca", true)]
    public void It_renders_what_a_published_template_renders(string name, string published, bool laidOut)
    {
        var file = new[] { TemplateFixtures.Own, TemplateFixtures.Shared }.Select(folder => Path.Combine(folder, published + ".jinja"))
            .FirstOrDefault(File.Exists);
        Skip.If(file is null, "the shared golden templates are not beside the repository");
        var reference = laidOut ? WithoutLayout(File.ReadAllText(file!)) : File.ReadAllText(file!);
        var own = File.ReadAllText(Path.Combine(Folder, name + ".jinja"));
        var compared = 0;
        foreach (var conversation in TemplateFixtures.Json(Path.Combine(TemplateFixtures.Own, "conversations.json")).EnumerateObject())
        {
            var messages = conversation.Value.GetProperty("messages").EnumerateArray().ToList();
            // What is offered beyond plain turns differs by design: tools, the default system words of one family, parts, calls.
            if (conversation.Value.TryGetProperty("tools", out _)
                || messages.Exists(message => !message.TryGetProperty("content", out var content) || content.ValueKind != JsonValueKind.String)) continue;
            // Its published form puts a system's words before the first mark; the models were trained with them inside, or not at all.
            if (name == "mistral" && messages[0].GetProperty("role").GetString() == "system") continue;
            if (name == "chatml" && messages[0].GetProperty("role").GetString() != "system") continue;
            foreach (var prompt in new[] { false, true })
            {
                if (Render(reference, conversation.Value, prompt) is not { } wanted) continue;
                var expected = name == "gemma" ? "<s>" + wanted.Text : wanted.Text;
                Assert.Equal(expected, Render(own, conversation.Value, prompt)?.Text);
                compared++;
            }
        }
        Assert.True(compared >= 4, $"{name}: only {compared} texts compared");
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Each_marks_the_answers_with_their_end_and_nothing_else(string name)
    {
        var conversation =
            JsonDocument.Parse(
            """{"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}, {"role": "assistant", "content": "ANSWER"}, {"role": "user", "content": "V"}, {"role": "assistant", "content": "OTHER"}]}""").RootElement;
        var chat = Render(File.ReadAllText(Path.Combine(Folder, name + ".jinja")), conversation, false)!;
        Assert.Equal(2, chat.GenerationSpans.Count);
        foreach (var (span, answer) in chat.GenerationSpans.Zip(["ANSWER", "OTHER"]))
        {
            var text = chat.Text[span.Start..span.End].Trim();
            Assert.StartsWith(answer, text, StringComparison.Ordinal);
            Assert.Matches(@"^[A-Z]+ ?(</s>|<\|im_end\|>|<\|eot_id\|>|<\|end\|>|<end_of_turn>)$", text);
        }
        foreach (var word in new[] { "S", "U", "V" }) Assert.Contains(word, chat.Text, StringComparison.Ordinal);
    }
}
