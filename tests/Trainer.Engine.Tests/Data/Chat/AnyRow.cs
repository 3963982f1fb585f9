using System.Text.Json;
using System.Text.Json.Nodes;

namespace Trainer.Engine.Tests.Data.Chat;

/// <summary>
/// A random row of some dialect: its speakers, contents, calls, reasoning and tools are each spelled in one of the ways in which data sets spell
/// them, and every piece of it holds a word that nothing else holds. The word's first letter tells what the piece is: S system, D developer,
/// U user, A answer, R reasoning, C argument of a call, T answer of a tool, F description of a tool.
/// </summary>
internal sealed class AnyRow
{
    private static readonly string[] Around = ["{0}", " {0}", "{0}\n", "\n{0} and\nmore {0}", "say \"{0}\" \\ {0}", "é {0} 𝒜文", "<b>{0}</b> & {0}",
        "{0}: 1.\n\n\t- 2", "{{{{ {0} }}}}"];
    private static readonly string[] Rounds = ["a", "a", "t", "ca", "cca", "ba", "pa", "ct", "c", "rt"];
    private readonly Random _random;
    private readonly bool _shareGpt, _parts, _nulls, _ids;
    private readonly int _reasoning, _arguments, _call;
    private int _number = 100;

    public AnyRow(int seed)
    {
        _random = new Random(seed);
        (_shareGpt, _parts, _nulls, _ids) = (Is(4), Is(3), Is(3), Is(2));
        (_reasoning, _arguments, _call) = (_random.Next(5), _random.Next(4), _random.Next(4));
        var hasCalls = false;
        if (Is(3)) Messages.Add(Said("system", "system", 'S'));
        else if (Is(3)) System = JsonSerializer.SerializeToElement(Text('S'));
        if (Is(6)) Messages.Add(Said("developer", "developer", 'D'));
        for (var rounds = _random.Next(1, 4); rounds > 0; rounds--)
        {
            Messages.Add(Said("user", Pick("human", "Human", "user"), 'U'));
            foreach (var turn in Pick(Rounds)) hasCalls |= Turn(turn);
        }
        if (Is(8)) Messages.Add(Said("user", "human", 'U'));
        if (hasCalls && !Is(4) || Is(6)) Tools = ToolList();
    }

    public JsonArray Messages { get; } = [];

    public JsonElement? System { get; }

    public JsonElement? Tools { get; }

    /// <summary>Words of turns that the row itself leaves out of the loss.</summary>
    public HashSet<string> Untrained { get; } = [];

    private bool Is(int oneOf) => _random.Next(oneOf) == 0;

    private T Pick<T>(params T[] choices) => choices[_random.Next(choices.Length)];

    private string Text(char kind) => string.Format(global::System.Globalization.CultureInfo.InvariantCulture, Pick(Around), $"{kind}w{_number++}x");

    private bool Turn(char turn)
    {
        var speaker = Pick("gpt", "GPT", "assistant", "model");
        var start = _number;
        switch (turn)
        {
            case 'a': Messages.Add(Trained(Said("assistant", speaker, 'A'), start)); return false;
            case 't': Messages.Add(Trained(Thought(Said("assistant", speaker, 'A')), start)); return false;
            case 'b': Calls(Said("assistant", speaker, 'A'), 1, start); return true;
            case 'c': Calls(Silent(speaker), 1, start); return true;
            case 'r': Calls(Thought(Silent(speaker)), 1, start); return true;
            default: Calls(Silent(speaker), 2, start); return true;
        }
    }

    private JsonObject Trained(JsonObject turn, int start)
    {
        if (!Is(6)) return turn;
        var (flag, value) = Pick<(string, JsonNode)>(("loss", false), ("train", false), ("training", false), ("weight", 0), ("loss_weight", 0.0),
            ("masked", true), ("trainable", 0));
        turn[flag] = value;
        foreach (var kind in "ARC")
            for (var number = start; number < _number; number++) Untrained.Add($"{kind}w{number}x");
        return turn;
    }

    private JsonObject Said(string role, string speaker, char kind)
    {
        if (!_parts || !Is(3)) return Message(role, speaker, JsonValue.Create(Text(kind)));
        // Several parts, one behind the other, with what tables leave between them.
        var parts = new JsonArray([.. Enumerable.Range(0, _random.Next(2, 4))
            .Select(JsonNode (_) => new JsonObject { ["type"] = "text", ["text"] = Text(kind) })]);
        if (Is(3)) parts.Insert(1, null);
        if (Is(3)) parts.Add(Text(kind));
        return Message(role, speaker, parts);
    }

    private JsonObject Silent(string speaker) => Message("assistant", speaker, Pick<JsonNode?>(null, JsonValue.Create(""), JsonValue.Create("")));

    private JsonObject Message(string role, string speaker, JsonNode? content)
    {
        if (_parts && content is JsonValue && content.ToString().Length > 0)
            content = new JsonArray(new JsonObject { ["type"] = "text", [Pick("text", "value")] = content });
        var message = _shareGpt ? new JsonObject { ["from"] = speaker, ["value"] = content } : new JsonObject { ["role"] = role, ["content"] = content };
        if (_nulls) foreach (var key in new[] { "tool_calls", "name", "weight", "reasoning_content" }) message[key] = null;
        return message;
    }

    private JsonObject Thought(JsonObject message)
    {
        var (key, thought) = (_shareGpt ? "value" : "content", Text('R'));
        switch (_reasoning)
        {
            case 0 when message[key] is JsonValue said: message[key] = $"<think>\n{thought}\n</think>\n\n{said}"; break;
            case 1 when message[key] is JsonValue said:
                message[key] = Pick($"<think>{thought}</think>{said}", $"{thought}\n</think>\n\n{said}", $" <think>\n{thought}\n\n</think>\n{said}");
                break;
            case 2 when message[key] is JsonArray parts: parts.Insert(0, new JsonObject { ["type"] = "thinking", ["thinking"] = thought }); break;
            case 3: message["thinking"] = thought; break;
            case 4: message["reasoning"] = thought; break;
            default: message["reasoning_content"] = thought; break;
        }
        return message;
    }

    private void Calls(JsonObject message, int count, int start)
    {
        var isLegacy = count == 1 && Is(5);
        var ids = Enumerable.Range(0, count).Select(c => _ids ? Pick($"abcdefgh{c}", $"call_{_number}_{c}_0123456789") : null).ToArray();
        var calls = new JsonArray([.. ids.Select(Call)]);
        if (isLegacy) message["function_call"] = (calls[0] is JsonObject wrapped && wrapped["function"] is { } function ? function : calls[0]!).DeepClone();
        else message["tool_calls"] = Is(6) ? calls.ToJsonString() : calls;
        Messages.Add(Trained(message, start));
        foreach (var id in ids)
        {
            var answer = Message(Pick("tool", isLegacy ? "function" : "tool"), "observation", JsonValue.Create(Text('T')));
            if (id is not null && !isLegacy) answer["tool_call_id"] = id;
            if (Is(2)) answer["name"] = "weather";
            Messages.Add(answer);
        }
    }

    private JsonNode Call(string? id)
    {
        var arguments = new JsonObject { ["city"] = Text('C') };
        if (Is(2))
            arguments["days"] = Pick<JsonNode>(JsonValue.Create(3), JsonValue.Create(2.5), JsonValue.Create(true), new JsonArray(1, Text('C')),
                new JsonObject { ["from"] = Text('C'), ["to"] = null });
        JsonNode given = _arguments switch { 0 => arguments, 1 => JsonValue.Create(arguments.ToJsonString()),
            2 => JsonValue.Create(JsonSerializer.Serialize(arguments.ToJsonString())), _ => arguments };
        var function = new JsonObject { ["name"] = "weather", [_call == 1 ? "parameters" : "arguments"] = given };
        var call = _call == 0 ? function : new JsonObject { ["type"] = "function", ["function"] = function };
        if (id is not null) call["id"] = id;
        return _call == 2 ? JsonValue.Create(call.ToJsonString()) : call;
    }

    private JsonElement ToolList()
    {
        var schema = new JsonObject { ["type"] = "object",
            ["properties"] = new JsonObject { ["city"] = new JsonObject { ["type"] = "string", ["description"] = "d" } },
            ["required"] = new JsonArray("city") };
        var function = new JsonObject { ["name"] = "weather", ["description"] = $"Fw{_number++}x", ["parameters"] = Is(4) ? schema.ToJsonString() : schema };
        var tool = Is(3) ? function : new JsonObject { ["type"] = "function", ["function"] = function };
        var list = Is(4) ? new JsonArray(tool.ToJsonString()) : new JsonArray(tool);
        return JsonSerializer.SerializeToElement(Is(4) ? JsonValue.Create(list.ToJsonString()) : (JsonNode)list);
    }
}
