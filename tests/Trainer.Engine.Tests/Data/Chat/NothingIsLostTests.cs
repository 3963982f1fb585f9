using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using CsCheck;
using Trainer.Data.Chat;

namespace Trainer.Engine.Tests.Data.Chat;

/// <summary>Over all templates: every piece of a conversation stands in the text or is reported, what the assistant says is trained, and nothing else
/// is.</summary>
[Trait("ring", "unit")]
public sealed partial class NothingIsLostTests
{
    private const string Tools =
        """[{"type":"function","function":{"name":"weather","description":"w","parameters":{"type":"object","properties":{"city":{"type":"string","description":"c"}},"required":["city"]}}}]""";

    private static readonly string[] Headers = ["<|im_start|>", "<|start_header_id|>", "<start_of_turn>", "[INST]", "<|assistant|>", "<｜User｜>",
        "<tool_response>"];

    [GeneratedRegex("[USATRC]w[0-9]+x")]
    private static partial Regex Words();

    // One letter a turn: u asks, a answers, t thinks and answers, c calls a tool that answers, p calls two, b says something and calls.
    private static readonly string[] Rounds = ["a", "t", "ca", "cca", "ba", "pa", "ct", "c"];
    private static readonly Gen<string> Shapes = Gen.Select(Gen.Bool, Gen.Int[0, Rounds.Length - 1].Select(i => Rounds[i]).Array[1, 3])
        .Select((system, rounds) => (system ? "s" : "") + string.Concat(rounds.Select(round => "u" + round)));

    public static TheoryData<string> Templates() => [.. MaskFixtures.AllTemplates()];

    [Theory]
    [MemberData(nameof(Templates))]
    public void Every_piece_is_in_the_text_or_reported_and_only_the_assistant_is_trained(string template)
    {
        var source = File.ReadAllText(template);
        var eos = MaskFixtures.EosOf(source);
        var builder = MaskFixtures.Builder(source, eos);
        // Every round and its beginning once, then mixtures.
        foreach (var shape in new[] { "ua", "sua", "uaua", "uca", "ucca", "uba", "upa", "ut", "utut", "uct", "uc" }) Check(builder, shape, eos);
        Shapes.Sample(shape => Check(builder, shape, eos), iter: 25, seed: "0N0XIzNsQ0O2");
    }

    private static void Check(AssistantMaskBuilder builder, string shape, string eos)
    {
        var messages = Messages(shape);
        AssistantSpans found;
        try
        {
            found = builder.Build(JsonSerializer.SerializeToElement(messages), MaskFixtures.Json(Tools));
        }
        catch (ChatMaskException refused)
        {
            Assert.True(refused.Fault == ChatFault.NotRendered, $"{shape}: {refused.Message}");
            return;
        }
        var trained = found.Spans.Select(span => found.Text[span.Start..span.End]).ToArray();
        var lost = found.Losses.Select(loss => (loss.What, loss.Message)).ToHashSet();
        for (var i = 0; i < messages.Count; i++)
        {
            var isAssistant = messages[i]!["role"]!.ToString() == "assistant";
            foreach (Match word in Words().Matches(messages[i]!.ToJsonString()))
            {
                var what = word.Value[0] switch { 'R' => "reasoning", 'C' => "tool_calls", _ => "content" };
                var isThere = found.Text.Contains(word.Value, StringComparison.Ordinal);
                Assert.True(isThere || lost.Contains((what, i)), $"{shape}: {what} of message {i} is lost and not reported");
                Assert.True(!isThere || what == "tool_calls" || !lost.Contains((what, i)),
                    $"{shape}: {what} of message {i} is reported as lost, and stands in the text");
                Assert.True(!isThere || isAssistant == trained.Any(text => text.Contains(word.Value, StringComparison.Ordinal)),
                    $"{shape}: {what} of message {i} is {(isAssistant ? "not " : "")}trained");
            }
        }
        Assert.All(trained, text => Assert.DoesNotContain(Headers, header => header != eos && text.Contains(header, StringComparison.Ordinal)));
    }

    private static JsonArray Messages(string shape)
    {
        var messages = new JsonArray();
        var number = 100;
        string Word(char kind) => $"{kind}w{number++}x";
        JsonObject Said(string role, string? content) => new() { ["role"] = role, ["content"] = content };
        void Call(JsonObject turn, int count)
        {
            turn["tool_calls"] = new JsonArray([.. Enumerable.Range(0, count)
                .Select(c => new JsonObject { ["id"] = $"abcdefgh{c}", ["type"] = "function",
                    ["function"] = new JsonObject { ["name"] = "weather", ["arguments"] = new JsonObject { ["city"] = Word('C') } } })]);
            messages.Add(turn);
            for (var c = 0; c < count; c++)
                messages.Add(new JsonObject { ["role"] = "tool", ["tool_call_id"] = $"abcdefgh{c}", ["name"] = "weather", ["content"] = Word('T') });
        }
        foreach (var turn in shape)
        {
            switch (turn)
            {
                case 's': messages.Add(Said("system", Word('S'))); break;
                case 'u': messages.Add(Said("user", Word('U'))); break;
                case 'a': messages.Add(Said("assistant", Word('A'))); break;
                case 't': messages.Add(Said("assistant", $"<think>\n{Word('R')}\n</think>\n\n{Word('A')}")); break;
                case 'b': Call(Said("assistant", Word('A')), 1); break;
                case 'c': Call(Said("assistant", ""), 1); break;
                case 'p': Call(Said("assistant", null), 2); break;
            }
        }
        return messages;
    }
}
