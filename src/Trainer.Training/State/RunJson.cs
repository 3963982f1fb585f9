using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Trainer.Training.State;

/// <summary>How this project writes and reads JSON: snake_case, two spaces, enumerations by name, numbers that read back to the same bits.</summary>
internal static class RunJson
{
    public static readonly JsonSerializerOptions Options = Make(indented: true);

    /// <summary>One line, for metrics.jsonl.</summary>
    public static readonly JsonSerializerOptions Line = Make(indented: false);

    /// <summary>A file of ours never says a thing twice.</summary>
    public static readonly JsonDocumentOptions Document = new() { AllowDuplicateProperties = false };

    /// <summary>Whether a fault says that the file read is not what it should be, and not that something here is wrong.</summary>
    public static bool IsBadFile(Exception fault) =>
        fault is JsonException or FormatException or OverflowException or ArgumentException or InvalidOperationException or IOException
        or UnauthorizedAccessException;

    /// <summary>What a fault says, in one line.</summary>
    public static string Why(Exception fault) => fault.Message.Split('\n')[0].TrimEnd('.');

    /// <summary>Lists of ours have no empty places: the serializer would let a null through where none is meant.</summary>
    /// <exception cref="JsonException">There is one.</exception>
    public static void RequireNoEmptyItems(JsonElement json)
    {
        if (json.ValueKind == JsonValueKind.Array)
        {
            foreach (var item in json.EnumerateArray())
            {
                if (item.ValueKind == JsonValueKind.Null) throw new JsonException("a list in it has an empty place (null)");
                RequireNoEmptyItems(item);
            }
        }
        else if (json.ValueKind == JsonValueKind.Object)
        {
            foreach (var member in json.EnumerateObject()) RequireNoEmptyItems(member.Value);
        }
    }

    private static JsonSerializerOptions Make(bool indented)
    {
        var options = new JsonSerializerOptions
        {
            WriteIndented = indented,
            PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
            RespectNullableAnnotations = true,
            RespectRequiredConstructorParameters = true,
            AllowDuplicateProperties = false,
        };
        options.Converters.Add(new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower));
        return options;
    }
}
