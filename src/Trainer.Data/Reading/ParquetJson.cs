using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Trainer.Data.Reading;

/// <summary>Single values of parquet columns as JSON.</summary>
internal static class ParquetJson
{
    /// <summary>Writes a value; what JSON has no number or word for becomes its text.</summary>
    public static void Write(Utf8JsonWriter writer, object? value)
    {
        switch (Plain(value))
        {
            case null:
                writer.WriteNullValue();
                break;
            case string text:
                writer.WriteStringValue(text);
                break;
            case bool truth:
                writer.WriteBooleanValue(truth);
                break;
            case sbyte or byte or short or ushort or int or uint or long or ulong or decimal:
                writer.WriteRawValue(Convert.ToString(value, CultureInfo.InvariantCulture)!);
                break;
            case float number when float.IsFinite(number):
                writer.WriteNumberValue(number);
                break;
            case double number when double.IsFinite(number):
                writer.WriteNumberValue(number);
                break;
            case byte[] raw:
                writer.WriteStartObject();
                writer.WriteNumber("bytes", raw.Length);
                writer.WriteEndObject();
                break;
            default:
                writer.WriteStringValue(Convert.ToString(value, CultureInfo.InvariantCulture));
                break;
        }
    }

    /// <summary>
    /// Letters as a string. Binary columns are strings where their writer left the annotation out; other bytes stay bytes, and become an object,
    /// which no column of ours takes.
    /// </summary>
    public static object? Plain(object? value) => value switch
    {
        ReadOnlyMemory<char> text => new string(text.Span),
        ReadOnlyMemory<byte> raw => Plain(raw.ToArray()),
        byte[] raw when System.Text.Unicode.Utf8.IsValid(raw) => Encoding.UTF8.GetString(raw),
        _ => value,
    };
}
