using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Trainer.Cli.Rendering;

/// <summary>JSON as every <c>--json</c> answer is written: snake_case, no escapes but the needed ones, non-finite numbers as null.</summary>
internal static class Json
{
    public static readonly JsonSerializerOptions Compact = Make(false);

    public static readonly JsonSerializerOptions Indented = Make(true);

    public static string Quote(string text) => JsonSerializer.Serialize(text, Compact);

    /// <summary>The number, or null (left out) where JSON has none: NaN and infinities.</summary>
    public static double? Finite(double number) => double.IsFinite(number) ? number : null;

    private static JsonSerializerOptions Make(bool indented) => new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        WriteIndented = indented,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };
}
