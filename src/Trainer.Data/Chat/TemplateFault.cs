using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Trainer.Data.Conversations;
using Trainer.Templates;

namespace Trainer.Data.Chat;

/// <summary>A template's complaint in plain words, with the field of the row that causes it: the one whose change changes the complaint.</summary>
internal static partial class TemplateFault
{
    private const int MostTries = 400;
    private const string Probe = "string"; // text that is also the name of a type, which schemas want

    public static ChatMaskException Of(TemplateException error, ChatTemplate template, IReadOnlyList<Turn> turns, JsonElement? tools,
        IReadOnlyDictionary<string, JsonElement>? variables, DateTime now, TemplateTraits traits)
    {
        var where = error.Line > 0 ? $" (template line {error.Line})" : "";
        if (error.Kind == "TemplateError")
            return new ChatMaskException(ChatFault.NotRendered, $"the chat template refuses the conversation: '{error.Reason}'{where}",
                "change the row, or pass another template with --chat-template FILE", error);
        if (error.Kind == "LimitError")
            return new ChatMaskException(ChatFault.NotRendered, $"the chat template fails on the conversation{where}: {error.Reason}",
                "shorten the row, or pass another template with --chat-template FILE", error);
        if (error.Kind == "UndefinedError" && Variable().Match(error.Reason) is { Success: true } variable)
            return new ChatMaskException(ChatFault.NotRendered, $"the chat template reads the variable '{variable.Groups[1].Value}', which nothing sets{where}",
                $"set it with --chat-template-arg {variable.Groups[1].Value}=VALUE, or pass another template with --chat-template FILE", error);
        var messages = JsonSerializer.SerializeToNode(new TurnWriter(turns, new ChatForm(), traits).Write(turns.Count))!;
        var root = new JsonObject { ["messages"] = messages, ["tools"] = tools is { } list ? JsonSerializer.SerializeToNode(list) : null };
        var blamed = new Search(error, template, root, variables, now).Blame();
        return new ChatMaskException(ChatFault.NotRendered, $"the chat template {Words(error)}{where}{(blamed is null ? "" : $": {blamed}")}",
            "check the row's fields, or pass another template with --chat-template FILE", error);
    }

    /// <summary>What the template tried to do.</summary>
    private static string Words(TemplateException error)
    {
        var reason = error.Reason;
        if (Attribute().Match(reason) is { Success: true } attribute && error.Kind == "UndefinedError")
            return attribute.Groups[1].ValueSpan.ContainsAnyExceptInRange('0', '9') ? $"needs a field '{attribute.Groups[1].Value}' that is not there"
                : $"reads entry {attribute.Groups[1].Value} of a list that has fewer";
        if (Joined().Match(reason) is { Success: true } joined)
            return $"joins text with {Thing(joined.Groups.Cast<Group>().Skip(1).First(group => group.Success && group.Value != "str").Value)}";
        if (Looked().Match(reason) is { Success: true } looked) return $"looks into {Thing(looked.Groups[1].Value)} as if it were text or a list";
        if (error.Kind == "RecursionError") return "calls itself without end";
        return $"fails on the conversation with '{error.Kind}: {reason}'";
    }

    private static string Thing(string type) => type switch
    {
        "NoneType" => "a null",
        "dict" => "an object",
        "list" => "a list",
        "int" or "float" => "a number",
        "bool" => "true or false",
        "Undefined" => "a field that is not there",
        _ => $"a value of type {type}",
    };

    [GeneratedRegex(@"\A'(\w+)' is undefined\z")]
    private static partial Regex Variable();

    [GeneratedRegex(@"has no (?:attribute|element) '?(\w+)'?")]
    private static partial Regex Attribute();

    [GeneratedRegex(@"can only concatenate str \(not ""(\w+)""\)|unsupported operand type\(s\) for \+: '(\w+)' and '(\w+)'|can only concatenate list \(not ""(\w+)""\)|must be str, not (\w+)")]
    private static partial Regex Joined();

    [GeneratedRegex(@"'(\w+)' object is not (?:iterable|subscriptable)|argument of type '(\w+)'|object of type '(\w+)' has no len|'(\w+)' object has no")]
    private static partial Regex Looked();

    /// <summary>Changes one field after the other until the complaint changes.</summary>
    private sealed class Search(TemplateException error, ChatTemplate template, JsonObject root, IReadOnlyDictionary<string, JsonElement>? variables,
        DateTime now)
    {
        private int _tries;

        public string? Blame()
        {
            var objects = new List<(JsonObject Node, string Path)>();
            Collect(root["messages"]!, "messages", objects);
            if (root["tools"] is { } tools) Collect(tools, "tools", objects);
            if (error.Kind == "UndefinedError" && Attribute().Match(error.Reason) is { Success: true } missing
                && Lacking(objects, missing.Groups[1].Value) is { } lacking) return lacking;
            // The innermost first: whatever stands in the way would be gone with all that is around it too.
            foreach (var (node, path) in Innermost(objects))
                foreach (var (key, value) in node.ToArray())
                    if (value is null or JsonArray or JsonObject || value.GetValueKind() is not JsonValueKind.String)
                        if (Changes(node, key, value))
                            return $"'{path}.{key}' is {Rows.RowFields.Name(value is null ? default : JsonSerializer.SerializeToElement(value))}";
            if (root["tools"] is not null) return null;
            root["tools"] = new JsonArray();
            return Renders() ? "the row has no tools, which this template needs" : null;
        }

        /// <summary>The first object that lacks a field without which the template does not render, or null.</summary>
        private string? Lacking(List<(JsonObject Node, string Path)> objects, string name)
        {
            var without = Innermost(objects).Where(each => !each.Node.ContainsKey(name)).ToList();
            var given = 0;
            while (given < without.Count && _tries++ <= MostTries)
            {
                without[given++].Node[name] = Probe;
                if (Renders()) break;
            }
            var all = given > 0 && _tries <= MostTries && Renders();
            string? needed = null;
            for (var i = 0; i < given; i++)
            {
                without[i].Node.Remove(name);
                if (!all || needed is not null) continue;
                if (_tries++ > MostTries || !Renders()) needed = $"'{without[i].Path}' has no '{name}'";
            }
            return needed;
        }

        private static IEnumerable<(JsonObject Node, string Path)> Innermost(List<(JsonObject Node, string Path)> objects) =>
            objects.OrderByDescending(each => each.Path.Count(letter => letter is '.' or '['));

        private bool Changes(JsonObject node, string key, JsonNode? former)
        {
            if (_tries++ > MostTries) return false;
            var had = node.ContainsKey(key);
            node[key] = Probe;
            try
            {
                return Renders();
            }
            finally
            {
                if (had) node[key] = former;
                else node.Remove(key);
            }
        }

        private bool Renders()
        {
            try
            {
                template.Render(new TemplateInput
                {
                    Messages = JsonSerializer.SerializeToElement(root["messages"]),
                    Tools = root["tools"] is { } tools ? JsonSerializer.SerializeToElement(tools) : null,
                    Variables = variables,
                    Now = now,
                });
                return true;
            }
            catch (TemplateException other)
            {
                return other.Line > error.Line || other.Line == error.Line && other.Reason != error.Reason && other.Kind == "TemplateError";
            }
        }

        private static void Collect(JsonNode node, string path, List<(JsonObject, string)> objects)
        {
            if (node is JsonArray list)
            {
                for (var i = 0; i < list.Count; i++)
                    if (list[i] is { } item) Collect(item, $"{path}[{i}]", objects);
            }
            else if (node is JsonObject map)
            {
                objects.Add((map, path));
                foreach (var (key, value) in map)
                    if (value is not null) Collect(value, $"{path}.{key}", objects);
            }
        }
    }
}
