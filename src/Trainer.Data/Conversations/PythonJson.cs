using System.Text;
using System.Text.Json;

namespace Trainer.Data.Conversations;

/// <summary>JSON as Python's json.dumps writes it with ensure_ascii=False: what templates' <c>tojson</c> gives, so that text and object read alike.</summary>
internal static class PythonJson
{
    /// <summary>The value's text.</summary>
    public static string Text(JsonElement value)
    {
        var text = new StringBuilder();
        Write(text, value);
        return text.ToString();
    }

    /// <summary>The inside of a string literal.</summary>
    public static string Escaped(string value)
    {
        var text = new StringBuilder(value.Length + 8);
        Escape(text, value);
        return text.ToString();
    }

    private static void Write(StringBuilder text, JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                var separator = "{";
                foreach (var property in value.EnumerateObject())
                {
                    text.Append(separator).Append('"');
                    Escape(text, property.Name);
                    text.Append("\": ");
                    Write(text, property.Value);
                    separator = ", ";
                }
                text.Append(separator == "{" ? "{}" : "}");
                break;
            case JsonValueKind.Array:
                separator = "[";
                foreach (var item in value.EnumerateArray())
                {
                    text.Append(separator);
                    Write(text, item);
                    separator = ", ";
                }
                text.Append(separator == "[" ? "[]" : "]");
                break;
            case JsonValueKind.String:
                text.Append('"');
                Escape(text, value.GetString()!);
                text.Append('"');
                break;
            default:
                text.Append(value.GetRawText());
                break;
        }
    }

    private static void Escape(StringBuilder text, string value)
    {
        foreach (var c in value)
        {
            switch (c)
            {
                case '"': text.Append("\\\""); break;
                case '\\': text.Append(@"\\"); break;
                case '\n': text.Append("\\n"); break;
                case '\r': text.Append("\\r"); break;
                case '\t': text.Append("\\t"); break;
                case '\b': text.Append("\\b"); break;
                case '\f': text.Append("\\f"); break;
                case < ' ': text.Append("\\u").Append(((int)c).ToString("x4")); break;
                default: text.Append(c); break;
            }
        }
    }
}
