using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Data.Rows;

namespace Trainer.Data.Conversations;

/// <summary>
/// The one step from messages, calls and tools as data sets write them (OpenAI, ShareGPT, table exports) to what is rendered. It says the same
/// in one way: parts are joined, JSON text is opened, nulls of tables are gone, roles have their common names, reasoning stands apart.
/// </summary>
internal static class ChatReader
{
    private static readonly string[] ReasoningFields = ["reasoning_content", "reasoning", "thinking"];

    /// <summary>Reads lists of messages that follow each other, with the columns beside them.</summary>
    /// <param name="lists">The lists, each with its column's name.</param>
    /// <param name="system">The column <c>system</c>, or null.</param>
    /// <param name="tools">The tools, or null.</param>
    /// <param name="variables">The column <c>chat_template_kwargs</c>, or null.</param>
    /// <param name="asGiven">Renders messages letter for letter, as transformers does: only what is searched in them is read.</param>
    /// <exception cref="BadRowException">Something in them can be read in no way, or in two.</exception>
    public static ChatRow Read(IEnumerable<(JsonElement Messages, string Column)> lists, JsonElement? system = null, ToolList? tools = null,
        JsonElement? variables = null, bool asGiven = false)
    {
        var known = tools ?? ToolList.None;
        var read = lists.ToArray();
        var calls = new CallList(known, known.HasHoles || read.Any(list => HasHoles(list.Messages)), opensText: !asGiven);
        var turns = new List<Turn>();
        var last = 0;
        foreach (var (messages, column) in read)
        {
            if (messages.GetArrayLength() == 0) throw BadRowException.Malformed($"column '{column}' holds no messages");
            last = turns.Count;
            var i = 0;
            foreach (var message in messages.EnumerateArray())
            {
                var at = $"{column}[{i++}]";
                if (asGiven) turns.Add(Message(message, at, calls) with { AsGiven = message });
                else foreach (var (said, place) in MessageForms.Of(message, at)) Add(turns, last, Message(said, place, calls), said, place);
            }
            if (turns.Count == last) throw BadRowException.Malformed($"column '{column}' holds no messages");
        }
        var count = turns.Count;
        if (system is { } given && Parts.Words(given, "system") is { } text && !string.IsNullOrWhiteSpace(text)) AddSystem(turns, text);
        return new ChatRow(turns)
        {
            LastList = last + turns.Count - count,
            Tools = known.Json,
            Variables = Variables(variables),
            Notes = calls.LeftNullsOut ? ["arguments that are null were left out of tool calls"] : [],
        };
    }

    /// <summary>Whether messages have keys that are null, as tables write them; a content of null is common elsewhere.</summary>
    private static bool HasHoles(JsonElement messages) => messages.EnumerateArray().Any(message => message.ValueKind == JsonValueKind.Object
        && message.EnumerateObject().Any(property => property.Value.ValueKind == JsonValueKind.Null && property.Name is not ("content" or "value")));

    /// <summary>Adds a turn; a call right behind what the assistant says (ms-swift's <c>tool_call</c>, an item of Responses) belongs to the same turn, as the
    /// model would stop at its end.</summary>
    private static void Add(List<Turn> turns, int first, Turn turn, JsonElement message, string at)
    {
        if (turns.Count == first || turn.Calls.Count == 0 || turn.HasReasoning || !IsCall(message) || turns[^1] is not { IsAssistant: true } before)
        {
            turns.Add(turn);
            return;
        }
        if (TurnLoss.Read(message, at, isAssistant: true) is { } isTrained && isTrained != before.IsTrained)
            throw BadRowException.Malformed($"'{at}' goes on with the assistant's turn before it, and only one of the two is trained", "mark both alike");
        turns[^1] = before with { Calls = [.. before.Calls, .. turn.Calls] };
    }

    private static bool IsCall(JsonElement message) => Member(message, "role", "from") is { ValueKind: JsonValueKind.String } role
        && Roles.Of(role.GetString()!) == Roles.Call;

    /// <summary>A system prompt of its own column comes first; beside a system turn it must say the same.</summary>
    private static void AddSystem(List<Turn> turns, string text)
    {
        if (turns[0].Role != Turn.System) turns.Insert(0, new Turn(Turn.System, text));
        else if (turns[0].Content.Trim() != text.Trim())
            throw BadRowException.Malformed("column 'system' and the conversation's own system turn say different things",
                "keep one: --data FILE,ignore=system keeps the turn");
    }

    private static Dictionary<string, JsonElement> Variables(JsonElement? value)
    {
        const string column = "chat_template_kwargs";
        var variables = new Dictionary<string, JsonElement>();
        if (value is not { } given || WireJson.IsAbsent(given)) return variables;
        var map = WireJson.Open(given, column, "an object of template variables", out _);
        if (map.ValueKind != JsonValueKind.Object)
            throw BadRowException.Malformed($"column '{column}' is {RowFields.Name(map)}; it must be an object of template variables");
        foreach (var property in map.EnumerateObject())
        {
            if (TemplateVariables.Reserved.Contains(property.Name))
                throw BadRowException.Malformed($"'{column}.{property.Name}' would replace what the row itself gives the template", "remove it");
            if (property.Value.ValueKind != JsonValueKind.Null) variables[property.Name] = RowValue.Checked(property.Value, $"{column}.{property.Name}");
        }
        return variables;
    }

    private static Turn Message(JsonElement message, string at, CallList calls)
    {
        if (message.ValueKind != JsonValueKind.Object)
            throw BadRowException.Malformed($"'{at}' is {RowFields.Name(message)}; a message must be an object with role and content");
        RowValue.Checked(message, at);
        if (Member(message, "role", "from") is not { } speaker || speaker.ValueKind == JsonValueKind.String && WireJson.IsAbsent(speaker))
            throw BadRowException.Malformed($"'{at}' has no role; a message must be an object with role and content");
        var spoken = RowValue.Text(speaker, at + (message.TryGetProperty("role", out _) ? ".role" : ".from"));
        var role = Roles.Of(spoken);
        if (Member(message, "role") is not null && Member(message, "from") is { } other && Roles.Of(RowValue.Text(other, at + ".from")) != role)
            throw BadRowException.Malformed($"'{at}.role' and '{at}.from' name two speakers", "keep one of them");
        var content = Member(message, "content", "value", "parts");
        if (Member(message, "content") is { } one && Member(message, "value") is { } two && !JsonElement.DeepEquals(one, two))
            throw BadRowException.Malformed($"'{at}.content' and '{at}.value' are two contents of one message", "keep one of them");
        if (role == Roles.Call) return Called(message, content, at, calls);
        var inParts = role == Turn.Assistant && content is { ValueKind: JsonValueKind.Array } mixed ? CallParts(mixed, at, calls, out content) : [];
        var (text, thought) = Content(content, role, Member(message, "content", "value") is null && content is not null ? $"{at}.parts" : $"{at}.content");
        var turn = new Turn(role, text) { WrittenAs = WrittenAs(message), Other = Other(message, role),
            IsTrained = TurnLoss.Read(message, at, role == Turn.Assistant) ?? true };
        if (role != Turn.Assistant)
        {
            if (content is null && role != Turn.Tool) throw BadRowException.Malformed(NoContent(message, at));
            return turn;
        }
        var beside = Calls(message, at, calls);
        if (inParts.Count > 0 && beside.Count > 0)
            throw BadRowException.Malformed($"'{at}' has calls among its parts as well as beside them", "keep one of them");
        turn = Thought(turn with { Calls = inParts.Count > 0 ? inParts : beside }, message, thought, at);
        if (content is null && turn.Calls.Count == 0 && turn.Reasoning is null) throw BadRowException.Malformed($"{NoContent(message, at)} and no tool calls");
        return turn;
    }

    private static string NoContent(JsonElement message, string at) =>
        $"'{at}' has no content{(message.TryGetProperty("content", out _) || message.TryGetProperty("value", out _) ? " (it is null)" : "")}";

    /// <summary>A turn whose text is a call or a list of calls.</summary>
    private static Turn Called(JsonElement message, JsonElement? content, string at, CallList calls)
    {
        if (content is not { } value) throw BadRowException.Malformed($"'{at}' holds no call; it must be {{\"name\": ..., \"arguments\": ...}}");
        // LLaMA-Factory's calls may have a thought before them.
        var thought = value.ValueKind == JsonValueKind.String && ThinkText.Split(value.GetString()!) is { } split
            ? split : ((string Reasoning, string Answer)?)null;
        if (thought is { } apart) value = JsonSerializer.SerializeToElement(apart.Answer);
        var read = calls.Read(value, at + (message.TryGetProperty("value", out _) ? ".value" : ".content"));
        if (read.Count == 0) throw BadRowException.Malformed($"'{at}' names no function; a call must be {{\"name\": ..., \"arguments\": ...}}");
        return new Turn(Turn.Assistant, "") { Calls = read, Reasoning = thought?.Reasoning, IsTrained = TurnLoss.Read(message, at, true) ?? true };
    }

    private static (string Said, string? Thought) Content(JsonElement? content, string role, string at)
    {
        if (content is not { } value) return ("", null);
        if (value.ValueKind == JsonValueKind.String) return (RowValue.Text(value, at), null);
        // A tool may answer with anything; its text is what the tool would have sent.
        if (role == Turn.Tool && (value.ValueKind != JsonValueKind.Array || value.EnumerateArray().Any(part => !IsPart(part))))
            return (PythonJson.Text(value), null);
        if (value.ValueKind == JsonValueKind.Array) return Parts.Join(value, at);
        throw BadRowException.Malformed($"'{at}' is {RowFields.Name(value)}; it must be a string");
    }

    /// <summary>Calls among the parts of a content (LLaMA-Factory's <c>tool_call</c>, Anthropic's <c>tool_use</c>), and the parts without them.</summary>
    private static List<JsonObject> CallParts(JsonElement content, string at, CallList calls, out JsonElement? rest)
    {
        var (found, others, i) = (new List<JsonObject>(), new List<JsonElement>(), 0);
        foreach (var part in content.EnumerateArray())
        {
            var place = $"{at}.content[{i++}]";
            if (IsPart(part) && part.GetProperty("type").GetString() is "tool_call" or "tool_use")
                found.AddRange(Member(part, "value", "tool_call") is { } call ? calls.Read(call, place) : calls.Read(part, place));
            else others.Add(part);
        }
        rest = found.Count > 0 ? JsonSerializer.SerializeToElement(others) : content;
        return found;
    }

    private static bool IsPart(JsonElement part)
        => part.ValueKind == JsonValueKind.Object && part.TryGetProperty("type", out var type) && type.ValueKind == JsonValueKind.String;

    private static List<JsonObject> Calls(JsonElement message, string at, CallList calls)
    {
        var read = message.TryGetProperty("tool_calls", out var list) ? calls.Read(list, at + ".tool_calls") : [];
        if (!message.TryGetProperty("function_call", out var legacy) || WireJson.IsAbsent(legacy)) return read;
        if (read.Count > 0) throw BadRowException.Malformed($"'{at}' has tool_calls as well as function_call", "keep tool_calls");
        return calls.Read(legacy, at + ".function_call");
    }

    /// <summary>The turn with its reasoning apart, wherever the row gives it.</summary>
    private static Turn Thought(Turn turn, JsonElement message, string? thought, string at)
    {
        var field = thought is null ? null : ReasoningFields[0];
        foreach (var name in ReasoningFields)
        {
            if (!message.TryGetProperty(name, out var value) || WireJson.IsAbsent(value)) continue;
            var text = value.ValueKind == JsonValueKind.Array
                ? Parts.Join(value, $"{at}.{name}") is var (said, inner) ? inner ?? said : "" : RowValue.Text(value, $"{at}.{name}");
            if (thought is not null && thought.Trim() != text.Trim())
                throw BadRowException.Malformed($"'{at}.{name}' and '{at}.{field}' are two reasonings for one answer", "keep one of them");
            (thought, field) = (text, name);
        }
        if (ThinkText.Split(turn.Content) is not { } split) return turn with { Reasoning = thought, ReasoningField = field };
        if (thought is not null)
        {
            // A closing mark alone is part of what is said where the thought stands apart.
            if (split.Reasoning.Trim() != thought.Trim() && !ThinkText.Opens(turn.Content))
                return turn with { Reasoning = thought, ReasoningField = field };
            // Given twice (some exports do): the field and the text must agree.
            if (split.Reasoning.Trim() != thought.Trim() && split.Reasoning.Trim().Length > 0)
                throw BadRowException.Malformed($"'{at}.{field}' and the <think> text of the content are two reasonings for one answer", "keep one of them");
            return turn with { Content = split.Answer, Reasoning = thought, ReasoningField = field };
        }
        return turn with { Content = split.Answer, Reasoning = split.Reasoning, Verbatim = turn.Content };
    }

    private static Wordless WrittenAs(JsonElement message)
    {
        if (!message.TryGetProperty("content", out var content)) return Wordless.Absent;
        return content.ValueKind == JsonValueKind.Null ? Wordless.Null : Wordless.Empty;
    }

    private static JsonObject Other(JsonElement message, string role)
    {
        var other = new JsonObject();
        foreach (var property in message.EnumerateObject())
        {
            if (property.Name is "role" or "from" or "content" or "value" || property.Value.ValueKind == JsonValueKind.Null || TurnLoss.IsKey(property.Name))
                continue;
            if (role == Turn.Assistant && (property.Name is "tool_calls" or "function_call" || ReasoningFields.Contains(property.Name))) continue;
            if (property.Name == "parts" && Member(message, "content", "value") is null) continue; // Gemini's name for the content
            // Table exports give every message these keys.
            if (property.Name is "tool_calls" or "function_call"
                && (WireJson.IsAbsent(property.Value) || property.Value.ValueKind == JsonValueKind.Array && property.Value.GetArrayLength() == 0)) continue;
            other[property.Name] = WireJson.WithoutNulls(property.Value);
        }
        return other;
    }

    private static JsonElement? Member(JsonElement owner, params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
            if (owner.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null) return value;
        return null;
    }
}
