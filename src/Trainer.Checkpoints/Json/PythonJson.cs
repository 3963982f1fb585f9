using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Trainer.Checkpoints.Json;

/// <summary>
/// JSON text as Python's json.dumps(value, indent=2, sort_keys=True) writes it, which is how transformers and PEFT write every file of theirs:
/// sorted keys, two spaces, ASCII escapes, shortest floats with a fraction or an exponent of two digits.
/// </summary>
public static partial class PythonJson
{
    /// <summary>The text of a value, without a newline at its end.</summary>
    /// <param name="value">The value; null becomes null. Non-finite numbers, which JSON lacks, become null.</param>
    /// <param name="sortKeys">Whether keys are sorted, as in the config files, or kept in their order.</param>
    /// <param name="depth">Levels above it in the text it becomes a part of.</param>
    public static string Serialize(JsonNode? value, bool sortKeys = true, int depth = 0)
    {
        var text = new StringBuilder();
        Append(text, value, depth, sortKeys);
        return text.ToString();
    }

    /// <summary>A float as Python's repr gives it: 0.0, 2e-05, 1e+16, 0.0001.</summary>
    public static string Number(double value)
    {
        if (!double.IsFinite(value)) return "null";
        var shortest = value.ToString("R", CultureInfo.InvariantCulture);
        var exponent = Exponent(shortest.TrimStart('-'));
        var sign = shortest.StartsWith('-') ? "-" : "";
        var digits = Digits(shortest);
        if (exponent is < -4 or >= 16)
        {
            var mantissa = digits.Length == 1 ? digits : digits[..1] + "." + digits[1..];
            return $"{sign}{mantissa}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}";
        }
        return exponent < 0 ? sign + "0." + new string('0', -exponent - 1) + digits
            : digits.Length <= exponent + 1 ? sign + digits.PadRight(exponent + 1, '0') + ".0"
            : sign + digits[..(exponent + 1)] + "." + digits[(exponent + 1)..];
    }

    // Read from the shortest text and not from the value: 1e23 is a hair below it, and rounds up.
    private static int Exponent(string shortest)
    {
        var mark = shortest.IndexOf('E', StringComparison.Ordinal);
        if (mark >= 0)
            return int.Parse(shortest.AsSpan(mark + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        int dot = shortest.IndexOf('.', StringComparison.Ordinal), first = shortest.AsSpan().IndexOfAnyInRange('1', '9');
        var whole = dot < 0 ? shortest.Length : dot;
        return first < 0 ? 0 : first < whole ? whole - 1 : whole - first;
    }

    // The significant digits of a shortest round-trip text, without leading and trailing zeros.
    private static string Digits(string shortest)
    {
        var end = shortest.IndexOf('E', StringComparison.Ordinal);
        var digits = (end < 0 ? shortest : shortest[..end]).Replace("-", "", StringComparison.Ordinal).Replace(".", "", StringComparison.Ordinal)
            .TrimStart('0').TrimEnd('0');
        return digits.Length == 0 ? "0" : digits;
    }

    private static void Append(StringBuilder text, JsonNode? value, int depth, bool sortKeys)
    {
        switch (value)
        {
            case null:
                text.Append("null");
                break;
            case JsonObject { Count: 0 }:
                text.Append("{}");
                break;
            case JsonArray { Count: 0 }:
                text.Append("[]");
                break;
            case JsonObject pairs:
                var separator = "{";
                IEnumerable<KeyValuePair<string, JsonNode?>> ordered = sortKeys ? pairs.OrderBy(static pair => pair.Key, StringComparer.Ordinal) : pairs;
                foreach ((var key, var inner) in ordered)
                {
                    AppendText(NewLine(text.Append(separator), depth + 1), key);
                    Append(text.Append(": "), inner, depth + 1, sortKeys);
                    separator = ",";
                }
                NewLine(text, depth).Append('}');
                break;
            case JsonArray items:
                separator = "[";
                foreach (var item in items)
                {
                    Append(NewLine(text.Append(separator), depth + 1), item, depth + 1, sortKeys);
                    separator = ",";
                }
                NewLine(text, depth).Append(']');
                break;
            default:
                AppendScalar(text, value.AsValue());
                break;
        }
    }

    private static StringBuilder NewLine(StringBuilder text, int depth) => text.Append('\n').Append(' ', 2 * depth);

    private static void AppendScalar(StringBuilder text, JsonValue value)
    {
        switch (value.GetValueKind())
        {
            case JsonValueKind.String: AppendText(text, value.GetValue<string>()); break;
            case JsonValueKind.True: text.Append("true"); break;
            case JsonValueKind.False: text.Append("false"); break;
            case JsonValueKind.Number: text.Append(NumberText(value)); break;
            default: text.Append("null"); break;
        }
    }

    // A whole number stays one; a float keeps its fraction even where it is zero, so that the type survives.
    private static string NumberText(JsonValue value)
    {
        if (value.TryGetValue(out float single))
            return value.TryGetValue(out JsonElement _) ? FromText(value.ToJsonString()) : Number(single);
        if (value.TryGetValue(out double number) && !value.TryGetValue(out JsonElement _)) return Number(number);
        return FromText(value.ToJsonString());
    }

    private static string FromText(string text)
        => text.AsSpan().IndexOfAny(".eE") < 0 ? text : FromParsed(double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture));

    private static string FromParsed(double number) => double.IsInfinity(number) ? number > 0 ? "Infinity" : "-Infinity" : Number(number);

    private static void AppendText(StringBuilder text, string value)
    {
        text.Append('"');
        foreach (var c in value)
        {
            _ = c switch
            {
                '"' => text.Append("\\\""),
                '\\' => text.Append("\\\\"),
                '\b' => text.Append("\\b"),
                '\f' => text.Append("\\f"),
                '\n' => text.Append("\\n"),
                '\r' => text.Append("\\r"),
                '\t' => text.Append("\\t"),
                < ' ' or > '~' => c == '\x7f' ? text.Append(c) : text.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture)),
                _ => text.Append(c),
            };
        }
        text.Append('"');
    }
}
