using System.Text.Json.Nodes;
using Trainer.Training.Options;

namespace Trainer.Cli.Options;

/// <summary>The recipe as a JSON Schema, so that editors complete and check it.</summary>
internal static class RecipeSchema
{
    public static JsonObject Build(IReadOnlyList<Setting> settings)
    {
        var properties = new JsonObject();
        foreach (var setting in settings)
        {
            properties[setting.Key] = Property(setting);
            foreach (var alias in setting.Aliases)
                properties[alias.Replace('-', '_')] = new JsonObject { ["$ref"] = "#/properties/" + setting.Key, ["description"] = $"Alias of {setting.Key}." };
        }
        return new JsonObject
        {
            ["$schema"] = "https://json-schema.org/draft/2020-12/schema",
            ["title"] = "trainer recipe",
            ["type"] = "object",
            ["additionalProperties"] = false,
            ["properties"] = properties,
        };
    }

    private static JsonObject Property(Setting setting)
    {
        var property = new JsonObject { ["description"] = setting.Help };
        switch (setting.Kind)
        {
            case SettingKind.Integer:
                property["type"] = Types("integer");
                Range(property, setting);
                break;
            case SettingKind.Number:
                property["type"] = Types("number");
                Range(property, setting);
                break;
            case SettingKind.Flag:
                property["type"] = Types("boolean");
                break;
            case SettingKind.Choice:
                property["enum"] = new JsonArray([.. setting.Choices.Select(choice => JsonValue.Create(choice)),
                    .. setting.Bare is null ? Array.Empty<JsonNode>() : [JsonValue.Create(true), JsonValue.Create(false)]]);
                break;
            case SettingKind.List:
                property["type"] = Types("string", "array");
                property["items"] = new JsonObject { ["type"] = Types("string", "integer") };
                break;
            case SettingKind.Sources:
                property["type"] = Types("string", "array", "object");
                property["items"] = new JsonObject { ["anyOf"] = new JsonArray(new JsonObject { ["type"] = "string" }, Source()) };
                break;
            case SettingKind.Pairs:
                property["type"] = Types("object");
                property["additionalProperties"] = new JsonObject { ["type"] = setting.Property?.Type == typeof(IReadOnlyDictionary<string, string>)
                    ? Types("string", "number", "boolean") : "number" };
                break;
            case SettingKind.Bytes:
                property["type"] = Types("string", "integer");
                break;
            default:
                property["type"] = setting.Bare is null ? Types("string") : Types("string", "boolean");
                break;
        }
        if (setting.Default is { } text) property["default"] = DefaultNode(setting, text);
        return property;
    }

    private static JsonNode Types(params string[] types)
        => types.Length == 1 ? JsonValue.Create(types[0])! : new JsonArray([.. types.Select(type => JsonValue.Create(type))]);

    private static JsonObject Source() => new()
    {
        ["type"] = "object",
        ["additionalProperties"] = false,
        ["required"] = new JsonArray("path"),
        ["properties"] = new JsonObject
        {
            ["path"] = new JsonObject { ["type"] = "string" },
            ["weight"] = new JsonObject { ["type"] = "number", ["exclusiveMinimum"] = 0 },
            ["split"] = new JsonObject { ["type"] = "string" },
            ["subset"] = new JsonObject { ["type"] = "string" },
            ["columns"] = new JsonObject { ["type"] = "object", ["additionalProperties"] = new JsonObject { ["type"] = "string" } },
        },
    };

    private static void Range(JsonObject property, Setting setting)
    {
        if (double.IsFinite(setting.Minimum)) property[setting.AboveMinimum ? "exclusiveMinimum" : "minimum"] = setting.Minimum;
        if (double.IsFinite(setting.Maximum)) property[setting.BelowMaximum ? "exclusiveMaximum" : "maximum"] = setting.Maximum;
    }

    private static JsonNode? DefaultNode(Setting setting, string text) => setting.Kind switch
    {
        SettingKind.Integer or SettingKind.Number => JsonNode.Parse(text),
        SettingKind.Flag => JsonValue.Create(text == "true"),
        SettingKind.List => new JsonArray([.. text.Split(',').Select(word => JsonValue.Create(word))]),
        _ => JsonValue.Create(text),
    };
}
