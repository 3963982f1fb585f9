using System.Text.Json;
using Trainer.Data.Rows;

namespace Trainer.Data.Conversations;

/// <summary>
/// Items of a conversation that are no messages of one speaker each, as such messages: a question beside its answer (ms-swift's and XTuner's
/// <c>conversation</c>), results of tools among the parts of a user's message (Anthropic), calls and their outputs as items (OpenAI's Responses).
/// </summary>
internal static class MessageForms
{
    private static readonly string[] Questions = ["human", "user", "input", "query", "question", "prompt", "instruction"];
    private static readonly string[] Answers = ["assistant", "gpt", "bot", "output", "response", "answer", "completion"];

    /// <summary>The messages of a list.</summary>
    /// <param name="list">A JSON array.</param>
    /// <param name="column">Its column.</param>
    public static IEnumerable<JsonElement> All(JsonElement list, string column) =>
        list.EnumerateArray().SelectMany((item, i) => Of(item, $"{column}[{i}]")).Select(said => said.Message);

    /// <summary>The messages that an item stands for, each with its place in the row; itself where it is one.</summary>
    /// <param name="item">An item of the list.</param>
    /// <param name="at">Its place.</param>
    /// <exception cref="BadRowException">It is of a known form and says what cannot be read.</exception>
    public static IEnumerable<(JsonElement Message, string At)> Of(JsonElement item, string at)
    {
        if (item.ValueKind != JsonValueKind.Object) return [(item, at)];
        if (Member(item, "role") is { } role)
            return role.ValueKind == JsonValueKind.String && Roles.Of(role.GetString()!) is Turn.User or Turn.Tool
                && Member(item, "content") is { ValueKind: JsonValueKind.Array } parts && parts.EnumerateArray().Any(IsResult)
                ? Results(item, parts, at) : [(item, at)];
        if (Member(item, "from") is not null) return [(item, at)];
        if (Member(item, "type") is { ValueKind: JsonValueKind.String } type) return Item(item, type.GetString()!, at);
        return item.EnumerateObject().Any(property => property.Name == Turn.System || Questions.Contains(property.Name) || Answers.Contains(property.Name))
            ? Round(item, at) : [(item, at)];
    }

    /// <summary>A question and its answer; one that is null is the other's alone, as tables write lists of <c>{"user": ...}</c> and <c>{"assistant":
    /// ...}</c>.</summary>
    private static List<(JsonElement, string)> Round(JsonElement item, string at)
    {
        JsonProperty? question = null, answer = null, system = null;
        var beside = new List<JsonProperty>();
        foreach (var property in item.EnumerateObject())
        {
            if (property.Value.ValueKind == JsonValueKind.Null) continue;
            if (property.Name == Turn.System) system = property;
            else if (Questions.Contains(property.Name)) question = Only(question, property, "questions", at);
            else if (Answers.Contains(property.Name)) answer = Only(answer, property, "answers", at);
            else if (TurnLoss.IsKey(property.Name)) beside.Add(property);
            else if (!RowFields.IsBookKeeping(property.Name))
                throw BadRowException.Malformed($"'{at}.{property.Name}' has no meaning beside a question and its answer",
                    "remove it, or write messages with role and content");
        }
        if (answer is not null && question is { Value: var asked } && WireJson.IsAbsent(asked))
            throw BadRowException.Malformed($"'{at}.{question.Value.Name}' is empty, and so its answer answers nothing",
                "write the question; a text that is to be continued belongs into a column 'text'");
        var said = new List<(JsonElement, string)>();
        if (system is { } rule && !WireJson.IsAbsent(rule.Value)) Add(Turn.System, rule, []);
        if (question is { } first) Add(Turn.User, first, []);
        if (answer is { } second) Add(Turn.Assistant, second, beside);
        return said;

        void Add(string role, JsonProperty property, List<JsonProperty> more) => said.Add((Write(role, property.Value, more), $"{at}.{property.Name}"));
    }

    private static JsonProperty Only(JsonProperty? known, JsonProperty next, string what, string at) => known is { } other
        ? throw BadRowException.Malformed($"'{at}.{other.Name}' and '{at}.{next.Name}' are two {what} in one round", "keep one of them") : next;

    /// <summary>What tools answered, each a message, and the user's words around them.</summary>
    private static List<(JsonElement, string)> Results(JsonElement item, JsonElement parts, string at)
    {
        var said = new List<(JsonElement, string)>();
        var words = new List<JsonElement>();
        var i = 0;
        TurnLoss.Read(item, at, isAssistant: false);
        foreach (var part in parts.EnumerateArray())
        {
            var place = $"{at}.content[{i++}]";
            if (!IsResult(part))
            {
                if (part.ValueKind != JsonValueKind.Null) words.Add(part);
                continue;
            }
            Flush();
            var content = Member(part, "content") is { } given ? given : JsonSerializer.SerializeToElement("");
            // What a tool shows is read as parts, and so a picture is refused by name.
            if (content.ValueKind == JsonValueKind.Array) content = JsonSerializer.SerializeToElement(Parts.Join(content, $"{place}.content").Said);
            said.Add((Messages.Write(writer =>
            {
                writer.WriteStartObject();
                writer.WriteString("role", Turn.Tool);
                if (Member(part, "tool_use_id") is { } id) WriteAs(writer, "tool_call_id", id);
                if (Member(part, "is_error") is { ValueKind: JsonValueKind.True } failed) WriteAs(writer, "is_error", failed);
                WriteAs(writer, "content", content);
                writer.WriteEndObject();
            })[0], place));
        }
        Flush();
        return said;

        void Flush()
        {
            if (words.Count == 0) return;
            var content = JsonSerializer.SerializeToElement(words);
            words.Clear();
            said.Add((Messages.Write(writer =>
            {
                writer.WriteStartObject();
                foreach (var property in item.EnumerateObject())
                    WriteAs(writer, property.Name, property.Name == "content" ? content : property.Value);
                writer.WriteEndObject();
            })[0], at));
        }
    }

    /// <summary>An item of OpenAI's Responses.</summary>
    private static List<(JsonElement, string)> Item(JsonElement item, string type, string at)
    {
        switch (type)
        {
            case "function_call":
                return [(Write(Roles.Call, item, []), at)];
            case "function_call_output":
                var output = Member(item, "output") is { } given ? given : JsonSerializer.SerializeToElement("");
                return [(Messages.Write(writer =>
                {
                    writer.WriteStartObject();
                    writer.WriteString("role", Turn.Tool);
                    if (Member(item, "call_id") is { } id) WriteAs(writer, "tool_call_id", id);
                    WriteAs(writer, "content", output);
                    writer.WriteEndObject();
                })[0], at)];
            // Its thought is kept by the one who served it.
            case "reasoning" when Hidden(item, "summary") && Hidden(item, "content"):
                return [];
            case "reasoning" or "item_reference" or "custom_tool_call" or "custom_tool_call_output" or "computer_call" or "web_search_call"
                or "file_search_call" or "code_interpreter_call" or "image_generation_call" or "mcp_call" or "local_shell_call":
                throw BadRowException.Malformed($"'{at}' is an item of type '{type}'; only messages, function_call and function_call_output can be read",
                    "take such rows out of the file");
            default:
                return [(item, at)];
        }
    }

    private static bool Hidden(JsonElement item, string name)
        => Member(item, name) is not { ValueKind: JsonValueKind.Array } list || list.GetArrayLength() == 0;

    private static bool IsResult(JsonElement part) => part.ValueKind == JsonValueKind.Object
        && Member(part, "type") is { ValueKind: JsonValueKind.String } type && type.ValueEquals("tool_result");

    private static JsonElement Write(string role, JsonElement content, List<JsonProperty> beside) => Messages.Write(writer =>
    {
        writer.WriteStartObject();
        writer.WriteString("role", role);
        WriteAs(writer, "content", content);
        foreach (var property in beside) property.WriteTo(writer);
        writer.WriteEndObject();
    })[0];

    private static void WriteAs(Utf8JsonWriter writer, string name, JsonElement value)
    {
        writer.WritePropertyName(name);
        value.WriteTo(writer);
    }

    private static JsonElement? Member(JsonElement owner, string name) =>
        owner.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;
}
