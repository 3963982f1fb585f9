using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Data.Rows;

namespace Trainer.Data.Conversations;

/// <summary>Tool calls in the shape that chat templates read, from <c>tool_calls</c>, <c>function_call</c> and the texts of ShareGPT.</summary>
/// <param name="tools">The row's tools.</param>
/// <param name="fromTable">Whether nulls are holes of a table: keys that other rows have.</param>
/// <param name="opensText">Whether arguments given as JSON text become the object they hold.</param>
internal sealed class CallList(ToolList tools, bool fromTable, bool opensText = true)
{
    /// <summary>Whether a null of a table was left out of some call's arguments.</summary>
    public bool LeftNullsOut { get; private set; }

    /// <summary>Reads a list of calls or a single one, each or all of them as JSON text too.</summary>
    public List<JsonObject> Read(JsonElement value, string at)
    {
        var calls = new List<JsonObject>();
        if (WireJson.IsAbsent(value)) return calls;
        var list = WireJson.Open(value, at, "a list of calls", out var wasText);
        if (WireJson.IsHollow(list)) return calls;
        if (list.ValueKind == JsonValueKind.Object) calls.Add(Call(list, at, wasText));
        else if (list.ValueKind == JsonValueKind.Array)
        {
            var i = 0;
            foreach (var call in list.EnumerateArray())
            {
                var place = $"{at}[{i++}]";
                if (!WireJson.IsHollow(call)) calls.Add(Call(WireJson.Open(call, place, "a call", out var ownText), place, wasText || ownText));
            }
        }
        else throw BadRowException.Malformed($"'{at}' is {RowFields.Name(list)}; it must be a list");
        return calls;
    }

    private JsonObject Call(JsonElement value, string at, bool wasText)
    {
        if (value.ValueKind != JsonValueKind.Object)
            throw BadRowException.Malformed($"'{at}' is {RowFields.Name(value)}; a call must be an object such as {{\"name\": ..., \"arguments\": ...}}");
        var inner = value.TryGetProperty("function", out var function) && !WireJson.IsAbsent(function)
            && !(function.ValueKind == JsonValueKind.String && !LooksLikeObject(function)) ? (JsonElement?)function : null;
        if (inner is { } wrapped)
        {
            var call = (JsonObject)WireJson.WithoutNulls(value)!;
            call["function"] = Function(WireJson.Open(wrapped, at + ".function", "a function", out var ownText), at + ".function", wasText || ownText);
            if (call["type"] is null) call["type"] = "function";
            return call;
        }
        var flat = Function(value, at, wasText);
        var result = new JsonObject();
        // Calls that are items of their own (OpenAI's Responses) have an id beside that of the call, and say how they ended.
        if (flat["call_id"] is not null)
        {
            flat.Remove("id");
            flat.Remove("status");
        }
        foreach (var key in (ReadOnlySpan<string>)["id", "call_id"])
        {
            if (flat[key] is not { } id) continue;
            flat.Remove(key);
            result["id"] = id;
        }
        flat.Remove("type");
        result["type"] = "function";
        result["function"] = flat;
        return result;
    }

    private static bool LooksLikeObject(JsonElement text) => text.GetString()!.AsSpan().TrimStart().StartsWith("{", StringComparison.Ordinal);

    /// <summary>Name and arguments: the arguments an object, whatever they came as.</summary>
    private JsonObject Function(JsonElement value, string at, bool wasText)
    {
        if (value.ValueKind != JsonValueKind.Object)
            throw BadRowException.Malformed($"'{at}' is {RowFields.Name(value)}; it must be an object with name and arguments");
        if (!value.TryGetProperty("name", out var named) && !value.TryGetProperty("function", out named) || named.ValueKind != JsonValueKind.String
            || string.IsNullOrWhiteSpace(named.GetString()))
            throw BadRowException.Malformed($"'{at}' names no function; a call must be {{\"name\": ..., \"arguments\": ...}}");
        var name = RowValue.Text(named, at + ".name");
        var result = new JsonObject();
        foreach (var property in value.EnumerateObject())
        {
            if (property.Name is "function") result["name"] = name;
            else if (property.Name is "arguments" or "parameters" or "input")
                result["arguments"] = Arguments(property.Value, name, $"{at}.{property.Name}", wasText);
            else if (property.Value.ValueKind != JsonValueKind.Null) result[property.Name] = WireJson.WithoutNulls(property.Value);
        }
        if (result["arguments"] is null) result["arguments"] = new JsonObject();
        return result;
    }

    private JsonNode Arguments(JsonElement value, string function, string at, bool wasText)
    {
        if (WireJson.IsAbsent(value)) return new JsonObject();
        if (!opensText && value.ValueKind == JsonValueKind.String) return JsonValue.Create(RowValue.Text(value, at));
        var opened = WireJson.Open(value, at, "an object", out var ownText);
        if (opened.ValueKind == JsonValueKind.String) opened = WireJson.Open(opened, at, "an object", out _); // some exports encode twice
        // PHP writes an empty map as an empty list.
        if (opened.ValueKind == JsonValueKind.Null || opened.ValueKind == JsonValueKind.Array && opened.GetArrayLength() == 0) return new JsonObject();
        if (opened.ValueKind != JsonValueKind.Object)
            throw BadRowException.Malformed($"'{at}' is {RowFields.Name(opened)}; a call's arguments must be an object");
        // A null in text was written on purpose; one in a table is another call's argument, unless the tool says that it may be null.
        if (wasText || ownText || !fromTable) return JsonObject.Create(opened)!;
        return WireJson.WithoutNulls(opened, (owner, key) =>
        {
            if (tools.AllowsNull(function, key)) return true;
            LeftNullsOut = true;
            return false;
        })!;
    }
}
