using Trainer.Data;
using Trainer.Data.Chat;
using Trainer.Data.Conversations;

namespace Trainer.Engine.Tests.Data.Chat;

/// <summary>Where turns begin and lie in templates that close thoughts in the prompt, or write one turn amid another.</summary>
[Trait("ring", "unit")]
public sealed class TurnPlaceTests
{
    private const string Prompt = "{% if add_generation_prompt %}{{ '<|model|>' }}{% if not enable_thinking %}{{ '<|open|><|shut|>' }}{% endif %}{% endif %}";

    /// <summary>As Gemma 4 writes: thoughts between marks of their own; behind a call the tool's answer, and only then the words that came with the
    /// call.</summary>
    private const string Interleaved = "{% if enable_thinking %}{{ '<|think|>' }}{% endif %}{% for m in messages %}{% if m.role == 'assistant' %}"
        + "<|model|>{% if m.reasoning %}{{ '<|open|>' + m.reasoning + '<|shut|>' }}{% endif %}{% for call in m.tool_calls or [] %}"
        + "{{ '<|call|>' + call.function.name + (call.function.arguments | tojson) + '<|called|>' }}{% endfor %}{% if m.tool_calls %}"
        + "{% for after in messages[loop.index:] %}{% if after.role == 'tool' %}{{ '<|result|>' + after.content + '<|given|>' }}{% endif %}{% endfor %}"
        + "{% endif %}{{ m.content or '' }}<|end|>{% elif m.role != 'tool' %}{{ '<|' + m.role + '|>' + m.content + '<|end|>' }}{% endif %}{% endfor %}"
        + Prompt;

    private static AssistantSpans Build(string template, string messages, int from = 0) => MaskFixtures.Builder(template, "<|end|>").Build(
        ChatReader.Read([(MaskFixtures.Json(messages), "messages")]), TrainOn.Assistant, from, null);

    private static string[] Trained(AssistantSpans found) => [.. found.Spans.Select(span => found.Text[span.Start..span.End])];

    [Fact]
    public void A_thought_that_the_prompt_closes_at_once_is_trained_from_its_opening_mark() => Assert.Equal(["<|open|>R<|shut|>A<|end|>", "B<|end|>"],
        Trained(Build(Interleaved, """[{"role":"user","content":"q"},{"role":"assistant","reasoning":"R","content":"A"},{"role":"user","content":"p"},"""
        + """{"role":"assistant","content":"B"}]""")));

    [Fact]
    public void Words_behind_a_tools_answer_are_a_place_of_their_own_and_thought_and_call_are_one() => Assert.Equal(
        ["""<|open|>R<|shut|><|call|>f{"a": "C"}<|called|>""", "A<|end|>", "B<|end|>"],
        Trained(Build(Interleaved, """[{"role":"user","content":"q"},{"role":"assistant","reasoning":"R","content":"A","tool_calls":"""
        + """[{"type":"function","function":{"name":"f","arguments":{"a":"C"}}}]},{"role":"tool","content":"T"},{"role":"assistant","content":"B"}]""")));

    [Theory]
    [InlineData("{{ m.content }}", "null", "<|call|>f<|end|>")]
    [InlineData("{{ m.content }}", "\"\"", "<|call|>f<|end|>")]
    [InlineData("{{ m.content if m.content is string else m.content | tojson }}", "null", "<|call|>f<|end|>")]
    [InlineData("{{ m.content }}", "\"None\"", "None<|call|>f<|end|>")]
    [InlineData("{{ m.content if m.content is not none else '<|silent|>' }}", "null", "<|silent|><|call|>f<|end|>")]
    public void A_content_of_null_is_never_learnt_as_a_word(string writes, string content, string trained)
    {
        var template = "{% for m in messages %}{{ '<|' + m.role + '|>' }}" + writes + "{% for call in m.tool_calls or [] %}"
            + "{{ '<|call|>' + call.function.name }}{% endfor %}{{ '<|end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";
        Assert.Equal([trained], Trained(Build(template, """[{"role":"user","content":"q"},{"role":"assistant","content":"""
            + content + ""","tool_calls":[{"function":{"name":"f","arguments":{}}}]}]""")));
    }

    [Fact]
    public void Turns_keep_their_places_where_a_developers_words_join_the_system_prompt()
    {
        const string Plain = "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content + '<|end|>' }}{% endfor %}{% if add_generation_prompt %}"
            + "{{ '<|assistant|>' }}{% endif %}";
        const string Messages = """[{"role":"system","content":"S"},{"role":"developer","content":"D"},{"role":"user","content":"q"},"""
            + """{"role":"assistant","content":"A"},{"role":"user","content":"p"},{"role":"assistant","content":"B"}]""";
        var found = Build(Plain, Messages);
        Assert.StartsWith("<|system|>S\n\nD<|end|><|user|>q<|end|>", found.Text, StringComparison.Ordinal);
        Assert.Equal([3, 5], found.TrainedTurns);
        Assert.Equal(["B<|end|>"], Trained(Build(Plain, Messages, from: 4)));
        Assert.Equal([5], Build(Plain, Messages, from: 4).TrainedTurns);
    }
}
