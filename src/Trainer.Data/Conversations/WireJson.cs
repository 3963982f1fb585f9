using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Data.Rows;

namespace Trainer.Data.Conversations;

/// <summary>Objects and lists that may come as JSON text, as they travel between programs; and the nulls that tables leave in them.</summary>
internal static class WireJson
{
    /// <summary>The value itself, or what its text holds. Only text of an object or a list is opened.</summary>
    /// <param name="value">A value of a row.</param>
    /// <param name="at">Its place, for complaints.</param>
    /// <param name="what">What the text must hold, for complaints.</param>
    /// <param name="wasText">Whether it came as text.</param>
    public static JsonElement Open(JsonElement value, string at, string what, out bool wasText)
    {
        wasText = value.ValueKind == JsonValueKind.String;
        if (!wasText) return value;
        var text = RowValue.Text(value, at);
        try
        {
            var opened = JsonDocument.Parse(text, RowParser.Options).RootElement;
            RowValue.Checked(opened, at);
            return opened;
        }
        catch (JsonException)
        {
            throw BadRowException.Malformed($"'{at}' is a string that holds no JSON; it must be {what}");
        }
    }

    /// <summary>Whether a value is absent: not there, null, or text without a letter.</summary>
    public static bool IsAbsent(JsonElement value) =>
        value.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null
        || value.ValueKind == JsonValueKind.String && string.IsNullOrWhiteSpace(value.GetString());

    /// <summary>Whether a value says nothing: it is absent, or a struct of which a table kept the kind alone (<c>{"type": "function", "function": {"name":
    /// null}}</c>).</summary>
    public static bool IsHollow(JsonElement value)
        => IsAbsent(value) || value.ValueKind == JsonValueKind.Object && value.EnumerateObject().All(static property =>
        property.Name == "type" || IsAbsent(property.Value)
        || property.Value.ValueKind == JsonValueKind.Object && property.Value.EnumerateObject().Any() && IsHollow(property.Value));

    /// <summary>A copy without the keys that are null: a table gives every row the keys that any row has. Nulls in lists say something and stay, and so do
    /// those of <paramref name="keep"/>.</summary>
    public static JsonNode? WithoutNulls(JsonElement value, Func<JsonElement, string, bool>? keep = null)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                var map = new JsonObject();
                foreach (var property in value.EnumerateObject())
                    if (property.Value.ValueKind != JsonValueKind.Null || keep is not null && keep(value, property.Name))
                        map[property.Name] = WithoutNulls(property.Value, keep);
                return map;
            case JsonValueKind.Array:
                return new JsonArray([.. value.EnumerateArray().Select(item => WithoutNulls(item, keep))]);
            case JsonValueKind.Null:
                return null;
            default:
                return JsonValue.Create(value);
        }
    }
}
