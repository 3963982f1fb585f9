using System.IO.Compression;
using Trainer.Data;
using Trainer.Data.Chat;
using Trainer.Data.Conversations;
using Trainer.Data.Rows;
using Trainer.Tokenizers;

namespace Trainer.Engine.Tests.Data.Chat;

[Trait("ring", "unit")]
public sealed class AssistantMaskTests
{
    private const string TwoTurns =
        """[{"role":"user","content":"A?"},{"role":"assistant","content":"B."},{"role":"user","content":"C?"},{"role":"assistant","content":"D."}]""";

    // History loses its reasoning, as in Qwen3.
    private const string Forgetful = """
        {%- for m in messages %}
            {%- if m.role == 'assistant' %}
                {%- set content = m.content %}
                {%- if not loop.last and '</think>' in content %}{% set content = content.split('</think>')[-1].lstrip('\n') %}{% endif %}
                {{- '<|im_start|>assistant\n' + content + '<|im_end|>\n' }}
            {%- else %}
                {{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}
            {%- endif %}
        {%- endfor %}
        {%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}
        """;

    private const string Marks = "{% for m in messages %}{{ m.role }}:{% if m.role == 'assistant' %}{% generation %}{{ m.content }}</s>{% endgeneration %}{% "
        + "else %}{{ m.content }}{% endif %}{% endfor %}";
    private const string NoMarks = "{% for m in messages %}{{ m.role }}:{{ m.content }}{% if m.role == 'assistant' %}</s>{% endif %}{% endfor %}{% if "
        + "add_generation_prompt %}assistant:{% endif %}";

    [Theory]
    [InlineData(Marks)]
    [InlineData(NoMarks)]
    public void A_turn_whose_row_says_weight_0_or_train_false_is_not_trained(string template)
    {
        const string three =
            """[{"role":"user","content":"A"},{"role":"assistant","content":"B","weight":0},{"role":"user","content":"C"},{"role":"assistant","content":"D","weight":1},{"role":"assistant","content":"E","train":false}]""";
        var found = MaskFixtures.Builder(template, "</s>", "").Build(MaskFixtures.Json(three), null);
        Assert.Equal(["D</s>"], found.Spans.Select(span => found.Text[span.Start..span.End]));
        Assert.Empty(MaskFixtures.Builder(template, "</s>", "").Build(MaskFixtures.Json(three), null, TrainOn.Last).Spans);
    }

    [Fact]
    public void A_shared_chat_keeps_what_its_turns_say_of_training()
    {
        var turns =
            MaskFixtures.Json(
            """[{"from":"human","value":"A"},{"from":"gpt","value":"B","weight":0},{"from":"human","value":"C"},{"from":"function_call","value":"{\"name\":\"f\"}","train":false},{"from":"gpt","value":"D"}]""");
        Assert.Equal([true, false, true, false, true], ChatReader.Read([(turns, "conversations")]).Turns.Select(turn => turn.IsTrained));
    }

    [Fact]
    public void Spans_equal_those_of_the_generation_blocks()
    {
        var conversations = MaskFixtures.Read(Path.Combine(MaskFixtures.Templates, "conversations.json"));
        foreach (var row in MaskFixtures.Read(Path.Combine(MaskFixtures.Repository, "tests", "fixtures", "masks", "assistant-spans.json.gz")).EnumerateArray())
        {
            var template = row.GetProperty("template").GetString()!;
            var conversation = conversations.GetProperty(row.GetProperty("conv").GetString()!);
            var eos = MaskFixtures.Read(Path.Combine(MaskFixtures.Templates, template + ".expected.json.gz")).GetProperty("vars").GetProperty("eos_token")
                .GetString();
            var found = MaskFixtures.FromFile(template, eos).Build(conversation.GetProperty("messages"),
                conversation.TryGetProperty("tools", out var tools) ? tools : null);
            Assert.Equal(row.GetProperty("text").GetString(), found.Text);
            var wanted = row.GetProperty("spans").EnumerateArray()
                .Select(pair => (MaskFixtures.Offset(found.Text, pair[0].GetInt32()), MaskFixtures.Offset(found.Text, pair[1].GetInt32())));
            Assert.Equal(wanted, found.Spans.Select(span => (span.Start, span.End)));
        }
    }

    [SkippableFact]
    public void Token_masks_equal_the_shared_goldens()
    {
        Skip.IfNot(Directory.Exists(MaskFixtures.Shared), "the shared goldens are not beside the repository");
        var conversations = MaskFixtures.Read(Path.Combine(MaskFixtures.Shared, "templates", "conversations.json"));
        var rows = MaskFixtures.Read(Path.Combine(MaskFixtures.Shared, "masks", "assistant-masks.json.gz")).EnumerateArray()
            .Where(row => !row.GetProperty("agp").GetBoolean());
        foreach (var group in rows.GroupBy(row => (Template: row.GetProperty("template").GetString()!, Tokenizer: row.GetProperty("tokenizer").GetString()!)))
        {
            var tokenizer = Load(group.Key.Tokenizer);
            var expected = MaskFixtures.Read(Path.Combine(MaskFixtures.Shared, "templates", group.Key.Template + ".expected.json")).GetProperty("vars");
            var source = File.ReadAllText(Path.Combine(MaskFixtures.Shared, "templates", group.Key.Template + ".jinja"));
            var builder = MaskFixtures.Builder(source, expected.TryGetProperty("eos_token", out var eos) ? eos.GetString() : null,
                expected.TryGetProperty("bos_token", out var bos) ? bos.GetString()! : "");
            foreach (var row in group)
            {
                var conversation = conversations.GetProperty(row.GetProperty("conv").GetString()!);
                var variables = conversation.EnumerateObject().Where(entry => entry.Name is not ("messages" or "tools")).Concat(expected.EnumerateObject())
                    .ToDictionary(entry => entry.Name, entry => entry.Value);
                var found = builder.Build(conversation.GetProperty("messages"), conversation.TryGetProperty("tools", out var tools) ? tools : null,
                    variables: variables);
                var encoding = tokenizer.Encode(found.Text, addSpecialTokens: false);
                var masked = EncodedRow.Mask(found.Text, encoding.Ids, encoding.Offsets, [.. found.Spans.Select(span => (span.Start, span.End))]);
                Assert.Equal(row.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32()), masked.Ids);
                Assert.Equal(row.GetProperty("mask_intersect").EnumerateArray().Select(flag => flag.GetInt32()),
                    masked.Labels.Select(label => label == Example.IgnoredLabel ? 0 : 1));
            }
        }
    }

    [Fact]
    public void A_template_whose_parts_are_prefixes_is_masked_incrementally() =>
        Assert.Equal(["Incremental", "B.<|im_end|>\n", "D.<|im_end|>\n"],
        MaskFixtures.Trained(MaskFixtures.FromFile("lcpp__Qwen-Qwen2.5-7B-Instruct", "<|im_end|>"), TwoTurns));

    [Fact]
    public void Template_files_without_marks_train_the_answer_and_its_end_of_turn_alone()
    {
        Assert.Equal(["Sentinel", "B.<|im_end|>", "D.<|im_end|>"], MaskFixtures.Trained(MaskFixtures.FromFile("cz__chatml", "<|im_end|>"), TwoTurns));
        Assert.Equal(["Sentinel", "B.</s>", "D.</s>"], MaskFixtures.Trained(MaskFixtures.FromFile("cz__zephyr"), TwoTurns));
        Assert.Equal(["B.</s>", "D.</s>"], MaskFixtures.Trained(MaskFixtures.FromFile("cz__mistral-instruct"), TwoTurns).Skip(1).Select(piece => piece.Trim()));
    }

    [Fact]
    public void Tool_calls_are_trained_with_the_turn()
    {
        const string messages =
            """[{"role":"user","content":"W?"},{"role":"assistant","content":"","tool_calls":[{"type":"function","function":{"name":"f","arguments":{"a":1}}}]},{"role":"tool","content":"5"},{"role":"assistant","content":"Five."}]""";
        Assert.Equal(["Incremental", "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call><|im_end|>\n", "Five.<|im_end|>\n"],
            MaskFixtures.Trained(MaskFixtures.FromFile("lcpp__Qwen-Qwen2.5-7B-Instruct", "<|im_end|>"), messages));
    }

    [Fact]
    public void Reasoning_that_history_loses_is_found_by_the_sentinel()
    {
        const string messages =
            """[{"role":"user","content":"1+1?"},{"role":"assistant","content":"<think>\nAdd.\n</think>\n\n2"},{"role":"user","content":"2+2?"},{"role":"assistant","content":"<think>\nAgain.\n</think>\n\n4"}]""";
        Assert.Equal(["Sentinel", "2<|im_end|>", "<think>\nAgain.\n</think>\n\n4<|im_end|>\n"],
            MaskFixtures.Trained(MaskFixtures.Builder(Forgetful), messages));
    }

    [Fact]
    public void A_last_turn_that_closes_differently_keeps_the_others_whole()
    {
        const string source = "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ "
            + "'<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}";
        Assert.Equal(["Incremental", "B.<|end|>", "D.<|end|>\n<|endoftext|>"], MaskFixtures.Trained(MaskFixtures.Builder(source, "<|endoftext|>"), TwoTurns));
    }

    [Fact]
    public void The_header_that_a_model_stops_at_is_trained_behind_each_answer_the_last_one_too()
    {
        const string source = "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content }}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}";
        Assert.Equal(["Incremental", "B.<|user|>", "D.<|user|>"], MaskFixtures.Trained(MaskFixtures.Builder(source, "<|user|>"), TwoTurns));
    }

    [Fact]
    public void Last_trains_the_last_turn_and_from_leaves_earlier_ones_out()
    {
        foreach (var name in new[] { "lcpp__Qwen-Qwen2.5-7B-Instruct", "cz__chatml", "trl__qwen2_5_training" })
        {
            var builder = MaskFixtures.FromFile(name, "<|im_end|>");
            var all = MaskFixtures.Trained(builder, TwoTurns);
            Assert.Equal(3, all.Length);
            Assert.Equal([all[0], all[2]], MaskFixtures.Trained(builder, TwoTurns, TrainOn.Last));
            Assert.Equal([all[0], all[2]], MaskFixtures.Trained(builder, TwoTurns, from: 2));
        }
    }

    [Fact]
    public void All_trains_the_whole_text_and_no_assistant_trains_nothing()
    {
        var builder = MaskFixtures.FromFile("cz__chatml");
        var found = builder.Build(MaskFixtures.Json(TwoTurns), null, TrainOn.All);
        Assert.Equal((0, found.Text.Length), (Assert.Single(found.Spans).Start, found.Spans[0].End));
        Assert.Equal(["None"], MaskFixtures.Trained(builder, """[{"role":"user","content":"A?"}]"""));
    }

    [Fact]
    public void A_turn_that_cannot_be_told_apart_is_refused_with_the_way_out()
    {
        const string source = "{% for m in messages|reverse %}{{ m.role }}:{{ m.content|upper }};{% endfor %}";
        var error = Assert.Throws<ChatMaskException>(() => MaskFixtures.Trained(MaskFixtures.Builder(source), TwoTurns));
        Assert.Equal(ChatFault.TurnNotFound, error.Fault);
        Assert.Contains("message 2", error.Message, StringComparison.Ordinal);
        Assert.Contains("--chat-template", error.WayOut, StringComparison.Ordinal);
    }

    [Fact]
    public void What_the_template_says_reaches_the_user()
    {
        var error = Assert.Throws<ChatMaskException>(() => MaskFixtures.Trained(MaskFixtures.FromFile("cz__mistral-instruct"),
            """[{"role":"user","content":"a"},{"role":"user","content":"b"}]"""));
        Assert.Equal(ChatFault.NotRendered, error.Fault);
        Assert.Contains("Conversation roles must alternate", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_generation_block_inside_a_macro_is_not_trusted()
    {
        const string source = "{% macro say(m) %}<|assistant|>{% generation %}{{ m.content }}<|end|>{% endgeneration %}{% endmacro %}{% for m in messages "
            + "%}{% if m.role == 'assistant' %}{{ say(m) }}{% else %}{{ m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% "
            + "endif %}";
        Assert.Equal(["Incremental", "B.<|end|>", "D.<|end|>"], MaskFixtures.Trained(MaskFixtures.Builder(source), TwoTurns));
    }

    private static HfTokenizer Load(string name)
    {
        var folder = Directory.CreateTempSubdirectory("tokenizer-");
        try
        {
            foreach (var file in Directory.GetFiles(Path.Combine(MaskFixtures.Shared, "tokenizers", name), "tokenizer*.json.gz"))
            {
                using var packed = new GZipStream(File.OpenRead(file), CompressionMode.Decompress);
                using var plain = File.Create(Path.Combine(folder.FullName, Path.GetFileNameWithoutExtension(file)));
                packed.CopyTo(plain);
            }
            return HfTokenizer.Load(folder.FullName);
        }
        finally
        {
            folder.Delete(true);
        }
    }
}
