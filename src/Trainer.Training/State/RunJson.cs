using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Trainer.Training;

/// <summary>How this project writes JSON: snake_case, two spaces, enumerations by name, numbers that read back to the same bits.</summary>
internal static class RunJson
{
    public static readonly JsonSerializerOptions Options = Make(indented: true);

    /// <summary>One line, for metrics.jsonl.</summary>
    public static readonly JsonSerializerOptions Line = Make(indented: false);

    private static JsonSerializerOptions Make(bool indented)
    {
        var options = new JsonSerializerOptions
        {
            WriteIndented = indented,
            PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        };
        options.Converters.Add(new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower));
        return options;
    }
}
