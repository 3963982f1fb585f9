using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Data.Rows;

namespace Trainer.Data.Conversations;

/// <summary>The tools of a row in the shape that chat templates read.</summary>
internal sealed class ToolList
{
    private static readonly string[] Alternatives = ["anyOf", "oneOf"];
    private readonly List<JsonObject> _tools = [];

    /// <summary>Whether a key was null: the sign of a table, which gives every row the keys that any row has.</summary>
    public bool HasHoles { get; private set; }

    /// <summary>No tools.</summary>
    public static ToolList None { get; } = new();

    /// <summary>The tools as a JSON array, or null where there is none.</summary>
    public JsonElement? Json => _tools.Count == 0 ? null : JsonSerializer.SerializeToElement(new JsonArray([.. _tools.Select(tool => tool.DeepClone())]));

    /// <summary>Reads <c>tools</c> (or OpenAI's older <c>functions</c>): a list or its JSON text, of objects or their JSON text, wrapped or not.</summary>
    public static ToolList Read(JsonElement? value, string column)
    {
        var result = new ToolList();
        if (value is not { } given || WireJson.IsAbsent(given)) return result;
        var list = WireJson.Open(given, column, "a list of tools", out var wasText);
        RowValue.Checked(list, column);
        if (WireJson.IsHollow(list)) return result;
        if (list.ValueKind == JsonValueKind.Object) result.Add(list, column, wasText);
        else if (list.ValueKind != JsonValueKind.Array) throw BadRowException.Malformed($"column '{column}' is {RowFields.Name(list)}; it must be a list");
        else
        {
            var i = 0;
            foreach (var tool in list.EnumerateArray())
                if (!WireJson.IsHollow(tool)) result.Add(tool, $"{column}[{i++}]", wasText);
        }
        return result;
    }

    /// <summary>Whether a function's argument may be null by its schema, so that a null is a value and no hole of a table.</summary>
    public bool AllowsNull(string function, string argument)
    {
        foreach (var tool in _tools)
            if (tool["function"] is JsonObject named && named["name"]?.ToString() == function && named["parameters"] is JsonObject { } parameters
                && parameters["properties"] is JsonObject properties && properties[argument] is JsonObject schema) return IsNullable(schema);
        return false;
    }

    private void Add(JsonElement value, string at, bool wasText)
    {
        var tool = WireJson.Open(value, at, "a tool such as {\"type\": \"function\", \"function\": {...}}", out var ownText);
        if (tool.ValueKind != JsonValueKind.Object)
            throw BadRowException.Malformed($"'{at}' is {RowFields.Name(tool)}; a tool must be an object such as {{\"type\": \"function\", \"function\": "
                + $"{{...}}}}");
        var written = (JsonObject)Clean(tool, wasText || ownText)!;
        OpenText(written, "function", at);
        if (written["function"] is null && written["name"] is not null)
        {
            // OpenAI's Responses write name and kind side by side.
            written.Remove("type");
            written = new JsonObject { ["type"] = "function", ["function"] = written };
        }
        if (written["function"] is JsonObject function)
        {
            if (written["type"] is null) written.Insert(0, "type", "function");
            if (function["parameters"] is null && function["input_schema"] is { } schema)
            {
                function.Remove("input_schema");
                function["parameters"] = schema;
            }
            OpenText(function, "parameters", at + ".function");
        }
        _tools.Add(written);
    }

    private static void OpenText(JsonObject owner, string key, string at)
    {
        if (owner[key] is not JsonValue value || value.GetValueKind() != JsonValueKind.String) return;
        var opened = WireJson.Open(JsonSerializer.SerializeToElement(value), $"{at}.{key}", "an object", out _);
        if (opened.ValueKind != JsonValueKind.Object)
            throw BadRowException.Malformed($"'{at}.{key}' is text that holds {RowFields.Name(opened)}; it must hold an object");
        owner[key] = JsonObject.Create(opened);
    }

    // A null in text was written on purpose; one in a table may be another row's key. A default of null belongs to what may be null.
    private JsonNode? Clean(JsonElement tool, bool wasText) => WireJson.WithoutNulls(tool, wasText ? (_, _) => true : (owner, key) =>
    {
        if (key is "default" or "const" && JsonObject.Create(owner) is { } schema && IsNullable(schema)) return true;
        HasHoles = true;
        return false;
    });

    private static bool IsNullable(JsonObject schema) =>
        schema["type"] is JsonArray types && types.Any(type => type?.ToString() == "null")
        || schema["type"]?.ToString() == "null" || schema["nullable"]?.ToString() == "true"
        || schema["enum"] is JsonArray values && values.Contains(null)
        || Alternatives.Any(key => schema[key] is JsonArray kinds && kinds.OfType<JsonObject>().Any(IsNullable));
}
