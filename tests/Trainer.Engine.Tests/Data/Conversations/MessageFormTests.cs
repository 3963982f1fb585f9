using System.Text.Json;
using Trainer.Data.Conversations;
using Trainer.Data.Rows;

namespace Trainer.Engine.Tests.Data.Conversations;

/// <summary>Conversations whose items are no messages of one speaker each.</summary>
[Trait("ring", "unit")]
public sealed class MessageFormTests
{
    private static JsonElement Json(string text) => JsonDocument.Parse(text).RootElement;

    private static ChatRow Read(string messages, string? system = null) =>
        ChatReader.Read([(Json(messages), "conversation")], system is null ? null : Json(system));

    private static string Refused(string messages) => Assert.Throws<BadRowException>(() => Read(messages)).Message;

    /// <summary>Each turn in short: its role's letter, a minus where it is not trained, its words, and its calls with their ids.</summary>
    private static string Short(ChatRow row) => string.Join(" | ", row.Turns.Select(turn =>
        $"{turn.Role[0]}{(turn.IsTrained ? "" : "-")}:{turn.Content}" + string.Concat(turn.Calls.Select(call =>
            $" {call["id"]}>{call["function"]!["name"]}{call["function"]!["arguments"]!.ToJsonString()}"))
        + (turn.Other["tool_call_id"] is { } id ? $" <{id}" : "") + (turn.Reasoning is { } thought ? $" ({thought})" : "")));

    [Theory]
    [InlineData("""[{"human":"Q","assistant":"A"},{"human":"R","assistant":"B"}]""", "u:Q | a:A | u:R | a:B")]
    [InlineData("""[{"user":"Q","assistant":"A"}]""", "u:Q | a:A")]
    [InlineData("""[{"system":"S","input":"Q","output":"A"},{"input":"R","output":"B","loss":false}]""", "s:S | u:Q | a:A | u:R | a-:B")]
    [InlineData("""[{"system":"S"},{"user":"Q"},{"assistant":"A"}]""", "s:S | u:Q | a:A")]
    [InlineData("""[{"user":"Q","assistant":null},{"user":null,"assistant":"A"}]""", "u:Q | a:A")]
    [InlineData("""[{"query":"Q","response":"<think>\nT\n</think>\n\nA","id":7}]""", "u:Q | a:A (T)")]
    [InlineData("""[{"human":[{"type":"text","text":"Q"}],"gpt":"A"}]""", "u:Q | a:A")]
    public void A_question_beside_its_answer_is_two_turns(string messages, string turns) => Assert.Equal(turns, Short(Read(messages)));

    [Theory]
    [InlineData("""[{"human":"Q","assistant":"A","tool":"x"}]""", "'conversation[0].tool' has no meaning beside a question and its answer")]
    [InlineData("""[{"human":"Q","assistant":"A"},{"instruction":"I","input":"J","output":"O"}]""",
        "'conversation[1].instruction' and 'conversation[1].input' are two questions in one round")]
    [InlineData("""[{"input":"","output":"A"}]""", "'conversation[0].input' is empty")]
    [InlineData("""[{"human":"Q","assistant":7}]""", "'conversation[0].assistant.content' is a number")]
    [InlineData("""[{"human":null,"assistant":null}]""", "holds no messages")]
    [InlineData("""[{"words":"Q"}]""", "'conversation[0]' has no role")]
    public void A_round_that_says_more_or_less_is_refused(string messages, string why) => Assert.Contains(why, Refused(messages), StringComparison.Ordinal);

    [Fact]
    public void Results_among_the_parts_of_a_users_message_are_turns_of_tools()
    {
        const string Messages =
            """
            [{"role":"user","content":"Q"},
            {"role":"assistant","content":[{"type":"thinking","thinking":"T","signature":"s"},{"type":"text","text":"A"},
              {"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1}},{"type":"tool_use","id":"toolu_2","name":"g","input":{}}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_2","content":"two"},
              {"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"o"},{"type":"text","text":"ne"}]},
              {"type":"text","text":"Go on","cache_control":{"type":"ephemeral"}}]},
            {"role":"assistant","content":[{"type":"text","text":"B"}]}]
            """;
        Assert.Equal("""u:Q | a:A toolu_1>f{"a":1} toolu_2>g{} (T) | t:two <toolu_2 | t:one <toolu_1 | u:Go on | a:B""", Short(Read(Messages)));
    }

    [Theory]
    [InlineData("""[{"role":"user","content":[{"type":"tool_result","tool_use_id":"x"}]}]""", "t: <x")]
    [InlineData("""[{"role":"tool","content":[{"type":"tool_result","tool_use_id":"x","content":"R"}]}]""", "t:R <x")]
    [InlineData("""[{"role":"user","content":[{"type":"text","text":"A"},{"type":"tool_result","tool_use_id":"x","content":"R"},null]}]""", "u:A | t:R <x")]
    public void A_result_stands_where_its_part_stands(string messages, string turns) => Assert.Equal(turns, Short(Read(messages)));

    [Theory]
    [InlineData("""[{"role":"user","content":[{"type":"tool_result","content":[{"type":"image","source":{}}]}]}]""",
        "'conversation[0].content[0].content[0]' is a part of type 'image'")]
    [InlineData("""[{"role":"user","loss":true,"content":[{"type":"tool_result","content":"R"}]}]""", "a turn that the assistant does not say")]
    [InlineData("""[{"type":"web_search_call","id":"w"}]""", "an item of type 'web_search_call'")]
    [InlineData("""[{"type":"reasoning","summary":[{"type":"summary_text","text":"T"}]}]""", "an item of type 'reasoning'")]
    public void What_is_no_text_is_refused_by_name(string messages, string why) => Assert.Contains(why, Refused(messages), StringComparison.Ordinal);

    [Fact]
    public void A_failed_result_says_so_to_the_template() => Assert.True((bool)Read(
        """[{"role":"user","content":[{"type":"tool_result","is_error":true,"content":"E"}]}]""").Turns[0].Other["is_error"]!);

    [Fact]
    public void Calls_and_outputs_may_be_items_of_their_own()
    {
        const string Messages =
            """
            [{"role":"user","content":[{"type":"input_text","text":"Q"}]},
            {"type":"reasoning","id":"rs","summary":[],"encrypted_content":"zzz"},
            {"type":"function_call","id":"fc_1","call_id":"call_1","name":"f","arguments":"{\"a\":1}","status":"completed"},
            {"type":"function_call","id":"fc_2","call_id":"call_2","name":"g","arguments":"{}"},
            {"type":"function_call_output","call_id":"call_1","output":"one"},
            {"type":"function_call_output","call_id":"call_2","output":[{"type":"input_text","text":"two"}]},
            {"type":"message","role":"assistant","content":[{"type":"output_text","text":"A","annotations":[]}]}]
            """;
        var row = Read(Messages);
        Assert.Equal("""u:Q | a: call_1>f{"a":1} call_2>g{} | t:one <call_1 | t:two <call_2 | a:A""", Short(row));
        Assert.Equal("""{"name":"f","arguments":{"a":1}}""", row.Turns[1].Calls[0]["function"]!.ToJsonString());
    }

    [Theory]
    [InlineData("", "a:A >f{} >g{} | t:R | t:S")]
    [InlineData(",\"loss\":true", "a:A >f{} >g{} | t:R | t:S")]
    public void A_call_behind_words_or_another_call_is_of_the_same_turn(string flag, string turns) => Assert.Equal($"u:Q | {turns}", Short(Read(
        $$$"""
        [{"role":"user","content":"Q"},{"role":"assistant","content":"A"},{"role":"tool_call","content":"{\"name\":\"f\",\"arguments\":{}}"{{{flag}}}},
        {"role":"tool_call","content":"{\"name\":\"g\",\"arguments\":{}}"},{"role":"tool_response","content":"R"},{"role":"tool_response","content":"S"}]
        """)));

    [Fact]
    public void A_call_that_is_trained_otherwise_than_the_words_before_it_is_refused()
    {
        const string Words = """[{"role":"assistant","content":"A","loss":false},{"role":"tool_call","content":"{\"name\":\"f\"}"FLAG}]""";
        Assert.Contains("only one of the two is trained", Refused(Words.Replace("FLAG", ",\"loss\":true", StringComparison.Ordinal)), StringComparison.Ordinal);
        // Of ms-swift's flags the first counts.
        Assert.Equal("a-:A >f{}", Short(Read(Words.Replace("FLAG", "", StringComparison.Ordinal))));
    }

    [Fact]
    public void A_call_behind_a_result_or_with_a_thought_of_its_own_opens_a_turn() => Assert.Equal("a: >f{} | t:R | a: >g{} | a: >h{} (T)", Short(Read(
        """
        [{"from":"function_call","value":"{\"name\":\"f\"}"},{"from":"observation","value":"R"},{"from":"function_call","value":"{\"name\":\"g\"}"},
        {"from":"function_call","value":"<think>\nT\n</think>\n\n{\"name\":\"h\"}"}]
        """)));

    [Fact]
    public void Geminis_parts_are_a_content()
    {
        var row = Read("""[{"role":"user","parts":[{"text":"Q"}]},{"role":"model","parts":[{"text":"A"},{"text":"B"}]}]""",
            """{"role":"system","parts":[{"text":"S"}]}""");
        Assert.Equal("s:S | u:Q | a:AB", Short(row));
        Assert.Empty(row.Turns.SelectMany(turn => turn.Other));
        Assert.Contains("'conversation[0].parts[0]' has no text", Refused("""[{"role":"model","parts":[{"functionCall":{"name":"f"}}]}]"""),
            StringComparison.Ordinal);
    }

    [Fact]
    public void Two_contents_of_one_message_are_refused_unless_they_are_alike()
    {
        Assert.Contains("are two contents of one message", Refused("""[{"from":"gpt","value":"A","content":"B"}]"""), StringComparison.Ordinal);
        Assert.Equal("a:A", Short(Read("""[{"from":"gpt","value":"A","content":"A"}]""")));
    }

    [Fact]
    public void A_system_prompt_may_be_parts_and_the_last_list_begins_behind_it()
    {
        var row = ChatReader.Read([(Json("""[{"role":"user","content":"Q"},{"role":"assistant","content":"P"}]"""), "prompt"),
            (Json("""[{"role":"assistant","content":"A"}]"""), "completion")], Json("""[{"type":"text","text":"S"}]"""));
        Assert.Equal(("s:S | u:Q | a:P | a:A", 3), (Short(row), row.LastList));
    }
}
