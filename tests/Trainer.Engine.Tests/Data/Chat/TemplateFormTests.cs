using System.Text.Json;
using Trainer.Data;
using Trainer.Data.Chat;
using Trainer.Data.Conversations;

namespace Trainer.Engine.Tests.Data.Chat;

[Trait("ring", "unit")]
public sealed class TemplateFormTests
{
    private const string Called =
        """[{"role":"user","content":"W?"},{"role":"assistant","content":"","tool_calls":[{"id":"call_1","type":"function","function":{"name":"get_weather","arguments":{"city":"Paris"}}}]},{"role":"tool","tool_call_id":"call_1","content":"21"},{"role":"assistant","content":"21 C."}]""";
    private const string Tools = """[{"name":"get_weather","description":"d","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}]""";
    private const string Plain = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}{% if "
        + "add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

    private static AssistantSpans Build(string template, string messages, string? tools = null, string eos = "<|im_end|>") =>
        MaskFixtures.Builder(template, eos).Build(ChatReader.Read([(MaskFixtures.Json(messages), "messages")],
        tools: ToolList.Read(tools is null ? null : MaskFixtures.Json(tools), "tools")), TrainOn.Assistant, 0, null);

    private static string File(string name) => System.IO.File.ReadAllText(Path.Combine(MaskFixtures.Repository, "tests", "fixtures", "masks", "templates",
        name + ".jinja"));

    private static string[] Trained(AssistantSpans found) => [.. found.Spans.Select(span => found.Text[span.Start..span.End])];

    private static string[] Lost(AssistantSpans found) => [.. found.Losses.Select(loss => loss.Name)];

    [Fact]
    public void A_call_whose_name_stands_in_the_tools_alone_is_lost()
    {
        var found = Build("{% for tool in tools or [] %}{{ tool | tojson }}{% endfor %}" + Plain, Called, Tools);
        Assert.Equal(["tool_calls (not in the chat template)"], Lost(found));
        Assert.Equal(["tools (not in the chat template)", "tool_calls (not in the chat template)"], Lost(Build(Plain, Called, Tools)));
    }

    [Fact]
    public void A_field_that_the_template_never_names_is_told_and_loses_nothing_else()
    {
        var found = Build(Plain, """[{"role":"user","content":"Hi","mood":"glad"},{"role":"assistant","content":"Yo"}]""");
        Assert.Equal(["field 'mood' of messages (not in the chat template)"], Lost(found));
        Assert.False(found.Losses[0].IsPiece);
    }

    [Fact]
    public void Reasoning_that_a_template_cuts_off_is_lost()
    {
        const string messages = """[{"role":"user","content":"1+1?"},{"role":"assistant","content":"<think>\nREASON\n</think>\n\nANSWER"}]""";
        var found = Build(File("lcpp__deepseek-ai-DeepSeek-R1-Distill-Llama-8B"), messages, eos: "<｜end▁of▁sentence｜>");
        Assert.Equal(["reasoning (not in the chat template)"], Lost(found));
        Assert.Equal(["\n\nANSWER<｜end▁of▁sentence｜>"], Trained(found));
    }

    [Fact]
    public void Reasoning_reaches_the_place_where_the_template_reads_it()
    {
        string[] rows = ["\"content\":\"<think>\\nR\\n</think>\\n\\nA\"", "\"content\":\"A\",\"reasoning_content\":\"R\"",
            "\"content\":\"A\",\"reasoning\":\"R\"", "\"content\":\"A\",\"thinking\":\"R\""];
        foreach (var row in rows)
            Assert.Equal(["R\n</think>\n\nA<|im_end|>\n"],
                Trained(Build(File("thinking-calls"), $$"""[{"role":"user","content":"q"},{"role":"assistant",{{row}}}]""")));
        const string reader = "{% for m in messages %}{{ m.role + ':' }}{% if m.role == 'assistant' %}{% if '</think>' in m.content %}<T>{{ "
            + "m.content.split('</think>')[0].split('<think>')[-1] }}</T>{% endif %}{{ m.content.split('</think>')[-1] + '</s>' }}{% else %}{{ m.content }}{% "
            + "endif %}{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}";
        foreach (var row in rows)
            Assert.Equal(["<T>R</T>A</s>"], Trained(Build(reader, $$"""[{"role":"user","content":"q"},{"role":"assistant",{{row}}}]""", eos: "</s>"))
                .Select(text => text.Replace("\n", "", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("\"content\":\"<think>\\nR\\n</think>\\n\\nA\"")]
    [InlineData("\"content\":\"A\",\"reasoning_content\":\"R\"")]
    [InlineData("\"content\":[{\"type\":\"thinking\",\"thinking\":\"R\"},{\"type\":\"text\",\"text\":\"A\"}]")]
    public void Thoughts_stand_between_the_marks_of_a_template_that_has_its_own(string row)
    {
        var messages = $$"""[{"role":"user","content":"q"},{"role":"assistant",{{row}}}]""";
        const string open = "{% for m in messages %}{{ m.role + ':' }}",
            close = "{{ '</s>' if m.role == 'assistant' else '' }}{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}";
        Assert.Equal(["[T]R[/T]A</s>"], Trained(Build(open + "{% if m.reasoning %}{{ '[T]' + m.reasoning + '[/T]' }}{% endif %}{{ m.content }}" + close,
            messages, eos: "</s>")));
        const string parts = "{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}{{ '[T]' + p.thinking + '[/T]' if p.type == "
            + "'thinking' else p.text }}{% endfor %}{% endif %}";
        Assert.Equal(["[T]R[/T]A</s>"], Trained(Build(open + parts + close, messages, eos: "</s>")));
        // The marks of its own are left out in this turn: the tags are no way around.
        Assert.Equal(["reasoning (not in the chat template)"],
            Lost(Build(open + "{% if m.reasoning and m.tool_calls %}{{ '[T]' + m.reasoning + '[/T]' }}{% endif %}{{ m.content }}{% for c in m.tool_calls or "
            + "[] %}{{ c.function.name }}{% endfor %}" + close, messages, eos: "</s>")));
    }

    [Fact]
    public void Calls_are_written_as_the_template_takes_them()
    {
        // It writes a turn's calls where the content is none, and the arguments as they are.
        const string deepseek = "{% for m in messages %}{% if m.role == 'assistant' and m.content is none %}{% for c in m.tool_calls %}{{ '<call>' + "
            + "c.function.name + ' ' + c.function.arguments + '</call></s>' }}{% endfor %}{% else %}{{ m.role + ':' + m.content + ('</s>' if m.role == "
            + "'assistant' else '') }}{% endif %}{% endfor %}";
        var found = Build(deepseek, Called, eos: "</s>");
        Assert.Empty(Lost(found));
        Assert.Equal("""<call>get_weather {"city": "Paris"}</call></s>""", Trained(found)[0]);
        var mistral = Build(File("lenml__mistral_nemo"), Called, Tools, "</s>");
        Assert.Empty(Lost(mistral));
        Assert.Matches("""\A\[TOOL_CALLS\]\[\{"name": "get_weather", "arguments": \{"city": "Paris"\}, "id": "([A-Za-z0-9]{9})"\}\]</s>\z""",
            Trained(mistral)[0]);
        var id = Trained(mistral)[0].Split("\"id\": \"")[1][..9];
        Assert.Contains($"\"call_id\": \"{id}\"", mistral.Text, StringComparison.Ordinal);
        Assert.Contains("made anew", Assert.Single(mistral.Notes), StringComparison.Ordinal);
    }

    [Fact]
    public void Arguments_never_stand_in_the_text_as_Python_prints_them()
    {
        const string printing = "{% for m in messages %}{{ m.role }}:{{ m.content }}{% for c in m.tool_calls or [] %}{{ c.function.name }} {{ "
            + "c.function.arguments }}{% endfor %}{% if m.role == 'assistant' %}</s>{% endif %}{% endfor %}";
        var found = Build(printing, Called, eos: "</s>");
        Assert.Contains("""get_weather {"city": "Paris"}</s>""", found.Text, StringComparison.Ordinal);
        Assert.Contains("JSON text", Assert.Single(found.Notes), StringComparison.Ordinal);
    }

    [Fact]
    public void A_template_for_parts_gets_parts()
    {
        const string parts = "{% for m in messages %}{{ m.role }}:{% for p in m.content %}{{ p.text }}{% endfor %}{% if m.role == 'assistant' %}</s>{% endif "
            + "%}{% endfor %}";
        Assert.Equal("user:Hiassistant:Yo</s>", Build(parts,
            """[{"role":"user","content":"Hi"},{"role":"assistant","content":[{"type":"text","value":"Yo"}]}]""", eos: "</s>").Text);
    }

    [Fact]
    public void A_developer_speaks_as_system_where_the_template_has_none()
    {
        var found = Build(Plain.Replace("m.role +", "('system' if m.role == 'system' else m.role) +", StringComparison.Ordinal),
            """[{"role":"developer","content":"DEV"},{"role":"user","content":"Hi"},{"role":"assistant","content":"Yo"}]""");
        Assert.StartsWith("<|im_start|>system\nDEV<|im_end|>", found.Text, StringComparison.Ordinal);
        Assert.Contains("developer", Assert.Single(found.Notes), StringComparison.Ordinal);
        var error = Assert.Throws<ChatMaskException>(() => Build(Plain, """[{"role":"alien","content":"a"}]"""));
        Assert.Contains("'alien'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_end_of_turn_is_trained_behind_all_closing_marks_and_nothing_behind_it()
    {
        const string closing = "{% for m in messages %}{% if m.role == 'assistant' %}{{ '<|assistant|>' }}{% for c in m.tool_calls or [] %}{{ '<|call|>' + "
            + "c.function.name }}{{ c.function.arguments | tojson }}{{ '<|call_end|>\n<|calls_end|>' }}{% endfor %}{{ m.content + '<|end|>' }}{% else %}{{ "
            + "'<|' + m.role + '|>' + m.content + '<|end|>' }}{% endif %}{% endfor %}{{ '<|assistant|>' }}";
        Assert.Equal(["""<|call|>get_weather{"city": "Paris"}<|call_end|>""" + "\n<|calls_end|><|end|>", "21 C.<|end|>"],
            Trained(Build(closing, Called, eos: "<|end|>")));
    }

    [Fact]
    public void Thoughts_and_calls_of_history_are_found()
    {
        Assert.Equal(["\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}\n</tool_call><|im_end|>",
            "\n</think>\n\n21 C.<|im_end|>\n"], Trained(Build(File("thinking-calls"), Called, Tools)));
        var without = MaskFixtures.Builder(File("thinking-calls"), "<|im_end|>").Build(MaskFixtures.Json(Called), null,
            variables: new Dictionary<string, JsonElement> { ["enable_thinking"] = MaskFixtures.Json("false") });
        Assert.Equal("21 C.<|im_end|>\n", Trained(without)[1]);
    }

    [Theory]
    [InlineData("{% for m in messages %}{{ m.role + m.mood }}{% endfor %}",
        """[{"role":"user","content":"a","mood":"b"},{"role":"assistant","content":"c","mood":7}]""",
        "joins text with a number (template line 1): 'messages[1].mood' is a number")]
    [InlineData("{% for m in messages %}\n{{ m.role + m.mood }}{% endfor %}", """[{"role":"user","content":"a"}]""",
        "needs a field 'mood' that is not there (template line 2): 'messages[0]' has no 'mood'")]
    [InlineData("{{ mood + 'x' }}", """[{"role":"user","content":"a"}]""", "reads the variable 'mood', which nothing sets (template line 1)")]
    [InlineData("{% for t in tools %}{{ t.name }}{% endfor %}", """[{"role":"user","content":"a"}]""", "the row has no tools, which this template needs")]
    [InlineData("{{ raise_exception('no ' + messages[0].role) }}", """[{"role":"user","content":"a"}]""",
        "refuses the conversation: 'no user' (template line 1)")]
    public void A_template_s_complaint_names_line_and_field(string template, string messages, string reason) =>
        Assert.Contains(reason, Assert.Throws<ChatMaskException>(() => Build(template, messages)).Message, StringComparison.Ordinal);

    [Fact]
    public void Advice_is_given_once()
    {
        using var folder = new DataFolder();
        folder.Write("tokenizer_config.json", """{"chat_template": [{"name": "rag", "template": "x"}]}""");
        var builder = new AssistantMaskBuilder(Trainer.Templates.ChatTemplateSet.Load(folder.Path)!, _ => false, [], DateTime.UnixEpoch);
        var refused = Assert.Throws<ChatMaskException>(() => builder.Build(MaskFixtures.Json("""[{"role":"assistant","content":"a"}]"""), null));
        Assert.Equal(("choose one with --chat-template FILE", false), (refused.WayOut, refused.Message.Contains("choose one", StringComparison.Ordinal)));
    }

    private const string Schemas =
        """[{"name":"f","description":"d","parameters":{"type":"object","properties":{"a":{"type":["string","null"]},"b":{"type":"string"}}}}]""";

    [Theory]
    [InlineData("{{ p.description + ';' }}", "needs a field 'description' that is not there (template line 1): "
        + "'tools[0].function.parameters.properties.a' has no 'description'")]
    [InlineData("{{ 'x' + p.type }}", "joins text with a list (template line 1): 'tools[0].function.parameters.properties.a.type' is an array")]
    [InlineData("{{ messages[9].role + 'x' }}", "reads entry 9 of a list that has fewer (template line 1)")]
    [InlineData("{% macro again(x) %}{{ again(x) }}{% endmacro %}{{ again(1) }}", "calls itself without end")]
    [InlineData("", "makes no text of the conversation")]
    public void A_complaint_about_tools_names_what_stands_innermost(string body, string reason)
    {
        var template = "{% for t in tools %}{% for p in t.function.parameters.properties.values() %}" + body + "{% endfor %}{% endfor %}";
        Assert.Contains(reason, Assert.Throws<ChatMaskException>(() => Build(template, """[{"role":"user","content":"a"}]""", Schemas)).Message,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("R</think>A")]
    [InlineData("R\n</think>\n\nA")]
    [InlineData("<think>R</think>A<think>S</think>B")]
    [InlineData("<think>\nR\n\n</think>\nA")]
    [InlineData("<think>\n\n</think>\n\nA")]
    public void Think_text_is_found_as_the_row_writes_it(string content)
    {
        // The prompt is no beginning of the text, so words stand for what is said.
        const string template = "{% for m in messages %}{{ '~<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>' }}{% endfor %}{% if "
            + "add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
        var messages = JsonSerializer.Serialize(new[] { new { role = "user", content = "q" }, new { role = "assistant", content } });
        var found = Build(template, messages);
        Assert.Equal((SpanMethod.Sentinel, content + "<|im_end|>"), (found.Method, Assert.Single(Trained(found))));
    }

    [Theory]
    [InlineData("""[{"role":"user","content":"q"},{"role":"assistant","content":"<think>R</think>A"}]""", "--reasoning strip,")]
    [InlineData("""[{"role":"user","content":"q"},{"role":"assistant","content":"<think>R</think>A"},{"role":"user","content":"q"},{"role":"assistant","content":"B"}]""",
        "--reasoning last or strip,")]
    public void The_way_out_of_lost_reasoning_is_one_that_helps(string messages, string way)
    {
        using var folder = new DataFolder();
        folder.Write("chat_template.jinja", File("lcpp__deepseek-ai-DeepSeek-R1-Distill-Llama-8B"));
        foreach (var file in new[] { "tokenizer.json", "tokenizer_config.json" })
            folder.Write(file, System.IO.File.ReadAllBytes(Path.Combine(MaskFixtures.Repository, "configs", "tiny-model", file)));
        var fault = Assert.Single(DataInspector.Check(DataFolder.Options(folder.Write("a.jsonl", $$"""{"messages": {{messages}}}""")),
            ModelText.Load(folder.Path)).Faults);
        Assert.Contains(way, fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_row_that_loses_something_trained_is_refused_unless_it_is_let_go()
    {
        using var folder = new DataFolder();
        folder.Write("chat_template.jinja", "{% for tool in tools or [] %}{{ tool.function.name }}{% endfor %}" + Plain);
        var path = folder.Write("a.jsonl", $$"""{"messages": {{Called}}, "tools": {{Tools}}}""");
        foreach (var file in new[] { "tokenizer.json", "tokenizer_config.json" })
            folder.Write(file, System.IO.File.ReadAllBytes(Path.Combine(MaskFixtures.Repository, "configs", "tiny-model", file)));
        var text = ModelText.Load(folder.Path);
        var options = DataFolder.Options(path) with { AllowMissingEos = true };
        var fault = Assert.Single(DataInspector.Check(options, text).Faults);
        Assert.Equal(FaultKind.LeftOut, fault.Kind);
        Assert.Contains("leaves out the tool calls of the assistant's turn (message 2)", fault.Message, StringComparison.Ordinal);
        Assert.Contains("--allow-dropped tool_calls", fault.Message, StringComparison.Ordinal);
        var report = DataInspector.Check(options with { AllowDropped = ["tool_calls"] }, text);
        Assert.Empty(report.Faults);
        Assert.Equal(1, report.Statistics.IgnoredColumns["tool_calls (not in the chat template)"]);
    }
}
