using System.Text.Json;
using Trainer.Data.Conversations;

namespace Trainer.Training.Options;

/// <summary>Variables of the chat template: <c>--chat-template-arg enable_thinking=false</c>, a JSON object of several, or a map in a recipe.</summary>
internal static class TemplateArguments
{
    /// <summary>The variables by name, each as JSON. A value that is no JSON is text.</summary>
    public static IReadOnlyDictionary<string, string> Read(SettingValues values, Setting setting)
    {
        var result = new Dictionary<string, string>();
        foreach (var item in values.Items(setting))
            foreach (var (name, value) in Pairs(values, setting, item))
            {
                if (TemplateVariables.Reserved.Contains(name))
                    values.Fault($"{values.Origin(setting)} '{name}' is what the row itself gives the template; remove it");
                else result[name] = AsJson(value);
            }
        return result;
    }

    private static IEnumerable<KeyValuePair<string, string>> Pairs(SettingValues values, Setting setting, SettingItem item)
    {
        if (item.Pairs is not null) return item.Pairs;
        if (item.Text.TrimStart().StartsWith('{') && Object(item.Text) is { } map) return map;
        var at = item.Text.IndexOf('=', StringComparison.Ordinal);
        if (at > 0) return [KeyValuePair.Create(item.Text[..at].Trim(), item.Text[(at + 1)..])];
        values.Fault($"{values.Origin(setting)} '{item.Text}' is no variable with its value; write enable_thinking=false");
        return [];
    }

    private static Dictionary<string, string>? Object(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? document.RootElement.EnumerateObject().ToDictionary(property => property.Name, property => property.Value.GetRawText()) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static string AsJson(string value)
    {
        // As Python and YAML write them.
        if (value is "True" or "False" or "None") value = value switch { "True" => "true", "False" => "false", _ => "null" };
        try
        {
            using var document = JsonDocument.Parse(value);
            return document.RootElement.GetRawText();
        }
        catch (JsonException)
        {
            return JsonSerializer.Serialize(value);
        }
    }
}
