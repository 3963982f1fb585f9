using System.Globalization;
using System.Text.Json;

namespace Trainer.Data.Rows;

/// <summary>Reads values out of a row, naming the column in every complaint.</summary>
internal static class RowValue
{
    /// <summary>The string, with lone surrogates and NUL refused: both mean that the file is damaged.</summary>
    public static string Text(JsonElement value, string column)
    {
        if (value.ValueKind != JsonValueKind.String) throw BadRowException.Malformed($"column '{column}' is {RowFields.Name(value)}; it must be a string");
        string text;
        try
        {
            text = value.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw BadRowException.Malformed($"column '{column}' holds half of a surrogate pair, which is no character",
                "repair the escape (\\ud83d needs its second half)");
        }
        Check(text, column);
        return text;
    }

    /// <summary>Refuses NUL and lone surrogates.</summary>
    public static void Check(string text, string column)
    {
        var nul = text.IndexOf('\0', StringComparison.Ordinal);
        if (nul >= 0) throw BadRowException.Malformed($"column '{column}' holds a NUL character at character {nul + 1}", "remove it");
    }

    /// <summary>Checks every string below a value, and hands the value back.</summary>
    public static JsonElement Checked(JsonElement value, string column)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.String:
                Text(value, column);
                break;
            case JsonValueKind.Array:
                var i = 0;
                foreach (var item in value.EnumerateArray()) Checked(item, $"{column}[{i++}]");
                break;
            case JsonValueKind.Object:
                foreach (var property in value.EnumerateObject()) Checked(property.Value, $"{column}.{property.Name}");
                break;
        }
        return value;
    }

    /// <summary>An array, or a string that holds one as JSON (how CSV and some ShareGPT files carry lists).</summary>
    public static JsonElement Array(JsonElement value, string column)
    {
        if (value.ValueKind == JsonValueKind.String)
        {
            var text = Text(value, column);
            try
            {
                value = JsonDocument.Parse(text, RowParser.Options).RootElement;
            }
            catch (JsonException)
            {
                throw BadRowException.Malformed($"column '{column}' is a string that holds no JSON list; it must be a list");
            }
        }
        return value.ValueKind == JsonValueKind.Array
            ? value : throw BadRowException.Malformed($"column '{column}' is {RowFields.Name(value)}; it must be a list");
    }

    /// <summary>A list of integers from 0 to <paramref name="most"/>, or -100 where that is allowed.</summary>
    public static int[] Integers(JsonElement value, string column, int most, bool ignorable = false)
    {
        var list = Array(value, column);
        var result = new int[list.GetArrayLength()];
        var i = 0;
        foreach (var item in list.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt32(out var number))
                throw BadRowException.Malformed($"'{column}[{i}]' is {(item.ValueKind == JsonValueKind.Number ? item.GetRawText() : RowFields.Name(item))}"
                    + "; it must be an integer");
            if ((number < 0 || number > most) && !(ignorable && number == Example.IgnoredLabel))
                throw BadRowException.Malformed($"'{column}[{i}]' is {number}, outside 0 to {most}{(ignorable ? " and not -100" : "")}",
                    "check that the rows were tokenized for this model");
            result[i++] = number;
        }
        return result;
    }

    /// <summary>A row's weight: a number of at least 0.</summary>
    public static float Weight(JsonElement? value, bool textual)
    {
        if (value is not { } given) return 1;
        double weight;
        if (given.ValueKind == JsonValueKind.Number) weight = given.GetDouble();
        else if (!textual || !double.TryParse(Text(given, "weight"), NumberStyles.Float, CultureInfo.InvariantCulture, out weight))
            throw BadRowException.Malformed($"column 'weight' is {RowFields.Name(given)}; it must be a number");
        return weight >= 0 && float.IsFinite((float)weight)
            ? (float)weight
            : throw BadRowException.Malformed($"column 'weight' is {weight.ToString(CultureInfo.InvariantCulture)}; it must be 0 or more, and finite");
    }
}
