using System.Text.Json;
using Trainer.Data.Conversations;
using Trainer.Data.Rows;

namespace Trainer.Engine.Tests.Data.Conversations;

[Trait("ring", "unit")]
public sealed class ChatReaderTests
{
    private const string Weather = """{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"type":"string"}}}}}""";

    private static JsonElement Json(string text) => JsonDocument.Parse(text).RootElement;

    private static ChatRow Read(string messages, string? tools = null, string? system = null, string? variables = null) => ChatReader.Read(
        [(Json(messages), "messages")], system is null ? null : Json(system), ToolList.Read(tools is null ? null : Json(tools), "tools"),
        variables is null ? null : Json(variables));

    private static string Refused(string messages, string? tools = null, string? system = null)
        => Assert.Throws<BadRowException>(() => Read(messages, tools, system)).Message;

    private static string Call(string row) => Read($$"""[{"role":"user","content":"q"},{{row}}]""").Turns[1].Calls.Single().ToJsonString();

    [Theory]
    [InlineData("""{"role":"assistant","content":"","tool_calls":[{"type":"function","function":{"name":"f","arguments":{"a":1}}}]}""")]
    [InlineData("""{"role":"assistant","content":"","tool_calls":[{"type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]}""")]
    [InlineData("""{"role":"assistant","content":null,"tool_calls":"[{\"name\":\"f\",\"arguments\":{\"a\":1}}]"}""")]
    [InlineData("""{"role":"assistant","tool_calls":[{"function":"{\"name\":\"f\",\"arguments\":\"{\\\"a\\\": 1}\"}"}]}""")]
    [InlineData("""{"role":"assistant","content":"","tool_calls":[{"name":"f","parameters":{"a":1}}]}""")]
    [InlineData("""{"role":"assistant","content":"","tool_calls":["{\"name\":\"f\",\"arguments\":{\"a\":1}}"]}""")]
    [InlineData("""{"role":"assistant","content":"","function_call":{"name":"f","arguments":"{\"a\": 1}"},"tool_calls":null}""")]
    [InlineData("""{"role":"assistant","content":"","function_call":"{\"name\":\"f\",\"arguments\":{\"a\":1}}","tool_calls":[]}""")]
    [InlineData("""{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":"\"{\\\"a\\\":1}\""}}]}""")]
    [InlineData("""{"from":"function_call","value":"{\"name\":\"f\",\"arguments\":{\"a\":1}}"}""")]
    [InlineData("""{"role":"tool_call","content":"[{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}]"}""")]
    [InlineData("""{"role":"assistant","content":[{"type":"tool_call","value":"{\"name\":\"f\",\"arguments\":{\"a\":1}}"}]}""")]
    [InlineData("""{"role":"assistant","content":[{"type":"text","text":"x"},{"type":"tool_use","name":"f","input":{"a":1}}]}""")]
    public void A_call_is_one_call_however_it_is_written(string message) =>
        Assert.True(JsonElement.DeepEquals(Json("""{"type":"function","function":{"name":"f","arguments":{"a":1}}}"""), Json(Call(message))), Call(message));

    [Theory]
    [InlineData("\"tool_calls\":{}")]
    [InlineData("\"tool_calls\":[{}]")]
    [InlineData("\"tool_calls\":[{\"id\":null,\"type\":null,\"function\":null}]")]
    [InlineData("\"tool_calls\":[{\"id\":null,\"type\":\"function\",\"function\":{\"name\":null,\"arguments\":null}}]")]
    [InlineData("\"function_call\":{\"name\":null,\"arguments\":null}")]
    [InlineData("\"function_call\":{}")]
    public void A_struct_that_a_table_left_empty_is_no_call(string field) =>
        Assert.Empty(Read($$"""[{"role":"user","content":"q"},{"role":"assistant","content":"a",{{field}}}]""").Turns[1].Calls);

    [Fact]
    public void Words_thoughts_and_calls_may_be_parts_of_one_answer()
    {
        var turn =
            Read(
            """[{"role":"user","content":"q"},{"role":"assistant","content":[{"type":"reasoning","value":"R"},{"type":"text","value":"A"},{"type":"tool_call","value":"{\"name\":\"f\",\"arguments\":\"{}\"}"},{"type":"tool_call","value":"{\"name\":\"g\"}"}]}]""").Turns[1];
        Assert.Equal(("R", "A", "f g"), (turn.Reasoning, turn.Content, string.Join(' ', turn.Calls.Select(call => call["function"]!["name"]))));
        Assert.Contains("has calls among its parts as well as beside them",
            Refused("""[{"role":"assistant","content":[{"type":"tool_use","name":"f"}],"tool_calls":[{"name":"g"}]}]"""), StringComparison.Ordinal);
    }

    [Fact]
    public void A_call_of_sharegpt_may_be_thought_about()
    {
        var turn =
            Read("""[{"from":"human","value":"q"},{"from":"function_call","value":"<think>\nR\n</think>\n\n{\"name\":\"f\",\"arguments\":{}}"}]""").Turns[1];
        Assert.Equal(("R", "f"), (turn.Reasoning, turn.Calls.Single()["function"]!["name"]!.ToString()));
    }

    [Fact]
    public void No_arguments_are_an_empty_object()
    {
        foreach (var arguments in new[] { "\"\"", "null", "[]", "\"[]\"", "{}" })
            Assert.Contains("\"arguments\":{}}",
                Call("""{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":ARGUMENTS}}]}""".Replace("ARGUMENTS", arguments,
                StringComparison.Ordinal)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData($"[{Weather}]")]
    [InlineData("""[{"name":"f","parameters":{"type":"object","properties":{"a":{"type":"string"}}}}]""")]
    [InlineData("""["{\"name\":\"f\",\"parameters\":\"{\\\"type\\\":\\\"object\\\",\\\"properties\\\":{\\\"a\\\":{\\\"type\\\":\\\"string\\\"}}}\"}"]""")]
    [InlineData("""[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"type":"string","enum":null},"b":null}}, "strict":null}}]""")]
    [InlineData(""""  "[{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}}}}]"  """")]
    [InlineData("""[{"type":"function","name":"f","parameters":{"type":"object","properties":{"a":{"type":"string"}}}}]""")]
    public void A_tool_is_one_tool_however_it_is_written(string tools) =>
        Assert.True(JsonElement.DeepEquals(Json($"[{Weather}]"), Read("""[{"role":"user","content":"q"}]""", tools).Tools!.Value));

    [Theory]
    [InlineData("\"\"")]
    [InlineData("[]")]
    [InlineData("\"[]\"")]
    [InlineData("\"null\"")]
    [InlineData("{}")]
    [InlineData("[{}]")]
    [InlineData("""[{"type":null,"function":null}]""")]
    [InlineData("""[{"type":"function","function":{"name":null,"parameters":{"type":null}}}]""")]
    public void No_tools_are_none(string tools) => Assert.Null(Read("""[{"role":"user","content":"q"}]""", tools).Tools);

    [Fact]
    public void Holes_of_a_table_are_no_arguments_and_a_null_that_was_written_is_one()
    {
        const string table =
            """[{"role":"user","content":"q","tool_calls":null},{"role":"assistant","content":"","tool_calls":[{"name":"f","arguments":{"a":"x","b":null,"c":{"d":null}}}]}]""";
        Assert.Equal("""{"a":"x","c":{}}""", Read(table).Turns[1].Calls[0]["function"]!["arguments"]!.ToJsonString());
        Assert.Single(Read(table).Notes);
        const string written = """[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[{"name":"f","arguments":{"a":null}}]}]""";
        Assert.Equal("""{"a":null}""", Read(written).Turns[1].Calls[0]["function"]!["arguments"]!.ToJsonString());
        const string nullable = """[{"name":"f","parameters":{"properties":{"b":{"type":["string","null"]}},"strict":null}}]""";
        Assert.Equal("""{"a":"x","b":null,"c":{}}""", Read(table, nullable).Turns[1].Calls[0]["function"]!["arguments"]!.ToJsonString());
        const string text =
            """[{"role":"user","content":"q","name":null},{"role":"assistant","content":"","tool_calls":[{"name":"f","arguments":"{\"a\": null}"}]}]""";
        Assert.Equal("""{"a":null}""", Read(text).Turns[1].Calls[0]["function"]!["arguments"]!.ToJsonString());
        Assert.Empty(Read("""[{"role":"user","content":"q","name":null,"tool_call_id":null}]""").Turns[0].Other);
    }

    [Theory]
    [InlineData("""[{"type":"text","text":"a"},{"type":"text","text":"b"}]""", "ab")]
    [InlineData("""[{"type":"text","value":"a"},"b",{"text":"c","image":null}]""", "abc")]
    [InlineData("""[]""", "")]
    [InlineData("""[{"type":"text","text":null},{"type":"text","text":"c"}]""", "c")]
    public void Parts_of_text_are_joined(string content, string said)
    => Assert.Equal(said, Read($$"""[{"role":"user","content":{{content}}}]""").Turns[0].Content);

    [Theory]
    [InlineData("human", "user")]
    [InlineData("Human", "user")]
    [InlineData("GPT", "assistant")]
    [InlineData("Assistant", "assistant")]
    [InlineData("model", "assistant")]
    [InlineData("SYSTEM", "system")]
    [InlineData("function", "tool")]
    [InlineData("tool-response", "tool")]
    [InlineData("observation", "tool")]
    public void Speakers_of_the_dialects_have_common_roles(string speaker, string role)
    {
        Assert.Equal(role, Read($$"""[{"from":"{{speaker}}","value":"q"}]""").Turns[0].Role);
        Assert.Equal(role, Read($$"""[{"role":"{{speaker}}","content":"q"}]""").Turns[0].Role);
    }

    [Theory]
    [InlineData("""{"role":"assistant","content":"<think>\nR\n</think>\n\nA"}""")]
    [InlineData("""{"role":"assistant","content":"R\n</think>\n\nA"}""")]
    [InlineData("""{"role":"assistant","content":"A","reasoning_content":"R"}""")]
    [InlineData("""{"role":"assistant","content":"A","reasoning":"R","thinking":null}""")]
    [InlineData("""{"role":"assistant","content":"A","thinking":"R"}""")]
    [InlineData("""{"role":"assistant","content":"<think>R</think>A","reasoning_content":"R"}""")]
    [InlineData("""{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"R"}]},{"type":"text","text":"A"}]}""")]
    public void Reasoning_is_found_wherever_it_stands(string message)
    {
        var turn = Read($"[{message}]").Turns[0];
        Assert.Equal(("R", "A"), (turn.Reasoning, turn.Content));
    }

    [Fact]
    public void Reasoning_is_kept_as_asked()
    {
        var row =
            Read(
            """[{"role":"user","content":"q"},{"role":"assistant","content":"<think>1</think>a"},{"role":"user","content":"q"},{"role":"assistant","content":"","reasoning":"2","tool_calls":[{"name":"f"}]},{"role":"tool","content":"t"},{"role":"assistant","content":"b","reasoning":"3"}]""");
        string[] Kept(Trainer.Data.Reasoning keep) => [.. row.With(keep).Turns.Where(turn => turn.IsAssistant).Select(turn => turn.Reasoning ?? "none")];
        Assert.Equal(["1", "2", "3"], Kept(Trainer.Data.Reasoning.Keep));
        Assert.Equal(["none", "2", "3"], Kept(Trainer.Data.Reasoning.Last));
        Assert.Equal(["none", "none", "none"], Kept(Trainer.Data.Reasoning.Strip));
        Assert.Null(row.With(Trainer.Data.Reasoning.Strip).Turns[1].Verbatim);
    }

    [Theory]
    [InlineData("\"loss\":false", false)]
    [InlineData("\"loss\":true", true)]
    [InlineData("\"loss\":null", true)]
    [InlineData("\"loss_weight\":0.0", false)]
    [InlineData("\"loss_weight\":1.0", true)]
    [InlineData("\"loss_scale\":0", false)]
    [InlineData("\"train\":false", false)]
    [InlineData("\"training\":false", false)]
    [InlineData("\"weight\":0", false)]
    [InlineData("\"trainable\":false", false)]
    [InlineData("\"masked\":true", false)]
    [InlineData("\"masked\":false", true)]
    [InlineData("\"loss\":false,\"weight\":0", false)]
    public void What_a_turn_says_of_its_loss_is_honoured(string key, bool trained)
    {
        var turn = Read($$"""[{"role":"assistant","content":"A",{{key}}}]""").Turns[0];
        Assert.Equal(trained, turn.IsTrained);
        Assert.Empty(turn.Other);
        Assert.Equal(trained, Read($$"""[{"from":"gpt","value":"A",{{key}}}]""").Turns[0].IsTrained);
    }

    [Theory]
    [InlineData("""[{"role":"assistant","content":"A","loss_weight":0.5}]""", "'messages[0].loss_weight' is 0.5")]
    [InlineData("""[{"role":"assistant","content":"A","loss":"no"}]""", "'messages[0].loss' is a string")]
    [InlineData("""[{"role":"assistant","content":"A","loss":true,"masked":true}]""", "'messages[0].masked' contradicts 'messages[0].loss'")]
    [InlineData("""[{"role":"user","content":"A","train":true}]""", "'messages[0].train' asks to train on a turn that the assistant does not say")]
    [InlineData("""[{"role":"assistant","content":"A","train_detail":[]}]""", "train_detail")]
    [InlineData("""[{"role":"assistant","content":"A","mask":true}]""", "'messages[0].mask' seems to say whether the turn is trained")]
    [InlineData("""[{"role":"assistant","content":"A","no_loss":1}]""", "'messages[0].no_loss' seems to say whether the turn is trained")]
    [InlineData("""[{"role":"user","from":"gpt","content":"A"}]""", "'messages[0].role' and 'messages[0].from' name two speakers")]
    [InlineData("""[{"role":"user","content":[{"type":"text"}]}]""", "has no text")]
    [InlineData("""[{"role":"user","content":[{"type":"image","image":"x"}]}]""", "'messages[0].content[0]' is a part of type 'image'")]
    [InlineData("""[{"role":"user","content":{"a":1}}]""", "'messages[0].content' is an object")]
    [InlineData("""[{"role":"user","content":null}]""", "'messages[0]' has no content (it is null)")]
    [InlineData("""[{"role":" ","content":"A"}]""", "'messages[0]' has no role")]
    [InlineData("""[{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":"{x"}}]}]""",
        "'messages[0].tool_calls[0].function.arguments' is a string that holds no JSON")]
    [InlineData("""[{"role":"assistant","content":"","tool_calls":[{"function":{"arguments":{}}}]}]""", "names no function")]
    [InlineData("""[{"role":"assistant","content":"","function_call":{"name":"f"},"tool_calls":[{"name":"g"}]}]""", "tool_calls as well as function_call")]
    [InlineData("""[{"role":"assistant","content":"<think>1</think>a","reasoning":"2"}]""", "two reasonings")]
    public void What_cannot_be_honoured_is_refused_by_its_place(string messages, string reason)
    => Assert.Contains(reason, Refused(messages), StringComparison.Ordinal);

    [Theory]
    [InlineData("\"content\":\"A</think>B\",\"reasoning\":\"R\"", "R", "A</think>B")]
    [InlineData("\"content\":[{\"type\":\"reasoning\",\"value\":\"R\"},{\"type\":\"text\",\"value\":\"A\\n</think>B\"}]", "R", "A\n</think>B")]
    [InlineData("\"content\":\"R</think>B\",\"reasoning\":\"R\"", "R", "B")]
    [InlineData("\"content\":\"<think></think>B\",\"reasoning\":\"R\"", "R", "B")]
    [InlineData("\"content\":\"R</think>B\"", "R", "B")]
    public void A_closing_mark_alone_ends_a_thought_only_where_none_stands_apart(string fields, string reasoning, string content)
    {
        var turn = Assert.Single(ChatReader.Read([(JsonDocument.Parse($$"""[{"role":"assistant",{{fields}}}]""").RootElement, "messages")]).Turns);
        Assert.Equal((reasoning, content), (turn.Reasoning, turn.Content));
    }

    [Fact]
    public void A_system_column_comes_first_and_must_agree_with_a_system_turn()
    {
        Assert.Equal(["S", "q"], Read("""[{"role":"user","content":"q"}]""", system: "\"S\"").Turns.Select(turn => turn.Content));
        Assert.Equal(["S", "q"], Read("""[{"role":"system","content":"S"},{"role":"user","content":"q"}]""", system: "\"S \"").Turns.Select(
            turn => turn.Content));
        Assert.Equal(["q"], Read("""[{"role":"user","content":"q"}]""", system: "\"\"").Turns.Select(turn => turn.Content));
        Assert.Contains("say different things", Refused("""[{"role":"system","content":"T"},{"role":"user","content":"q"}]""", system: "\"S\""),
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_row_sets_variables_of_its_template()
    {
        Assert.Equal("False",
            Read("""[{"role":"user","content":"q"}]""", variables: """{"enable_thinking":false,"x":null}""").Variables.Single().Value.ToString());
        Assert.Equal("False",
            Read("""[{"role":"user","content":"q"}]""", variables: "\"{\\\"enable_thinking\\\":false}\"").Variables.Single().Value.ToString());
        Assert.Throws<BadRowException>(() => Read("""[{"role":"user","content":"q"}]""", variables: """{"messages":[]}"""));
    }

    [Fact]
    public void A_tool_may_answer_with_anything() =>
        Assert.Equal(["""{"t": 22.0, "u": ["é", null]}""", "[1, 2]", "5"],
        Read("""[{"role":"tool","content":{"t":22.0,"u":["é",null]}},{"role":"tool","content":[1,2]},{"role":"tool","content":5}]""").Turns.Select(
        turn => turn.Content));
}
