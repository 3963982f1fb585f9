using System.Globalization;
using System.Text;
using Trainer.Cli.Rendering;
using Trainer.Data;
using Trainer.Training;
using Trainer.Training.Options;

namespace Trainer.Cli.Options;

/// <summary>The options of a run written as the recipe that makes it again.</summary>
internal static class EffectiveRecipe
{
    /// <summary>Key and value (number, flag, word, list or mapping) of everything that has one.</summary>
    public static IReadOnlyList<KeyValuePair<string, object>> Entries(TrainingOptions options)
    {
        var entries = new List<KeyValuePair<string, object>>();
        foreach (var setting in TrainSettings.Recipe.Where(setting => setting.Property is not null))
        {
            // A continued adapter has its own shape.
            if (setting.ShapesAdapter && options.AdapterDirectory is not null) continue;
            if (Plain(setting.Writes is { } write ? write(options) : setting.Property!.Get(options)) is { } value)
                entries.Add(KeyValuePair.Create(setting.Key, value));
        }
        return entries;
    }

    /// <summary>A value as YAML and JSON hold it, or null where there is nothing to hold.</summary>
    private static object? Plain(object? value) => value switch
    {
        null or "" => null,
        Enum word => OptionWords.Of(word),
        TimeSpan time => time.TotalSeconds.ToString("0.#######", CultureInfo.InvariantCulture) + "s",
        long bytes => bytes.ToString(CultureInfo.InvariantCulture),
        IReadOnlyList<DataSource> sources => sources.Count > 0 ? Sources(sources) : null,
        IReadOnlyDictionary<string, int> pairs => pairs.Count > 0 ? pairs.ToDictionary(pair => pair.Key, object (pair) => pair.Value) : null,
        IReadOnlyDictionary<string, string> pairs => pairs.Count > 0 ? pairs.ToDictionary(pair => pair.Key, object (pair) => pair.Value) : null,
        IReadOnlyDictionary<string, double> pairs => pairs.Count > 0 ? pairs.ToDictionary(pair => pair.Key, object (pair) => pair.Value) : null,
        IReadOnlyList<string> words => words.Count > 0 ? words.ToList() : null,
        IReadOnlyList<double> numbers => numbers.Count > 0 ? numbers.ToList() : null,
        IReadOnlyList<int> numbers => numbers.Count > 0 ? numbers.ToList() : null,
        _ => value,
    };

    private static List<object> Sources(IReadOnlyList<DataSource> sources) =>
    [
        .. sources.Select(object (source) => source is { Weight: 1, Columns: null, Split: null, Subset: null } ? source.Name ?? source.Path : Mapping(source)),
    ];

    private static Dictionary<string, object> Mapping(DataSource source)
    {
        var map = new Dictionary<string, object> { ["path"] = source.Name ?? source.Path, ["weight"] = source.Weight };
        if (source.Split is not null) map["split"] = source.Split;
        if (source.Subset is not null) map["subset"] = source.Subset;
        if (source.Columns is not null) map["columns"] = source.Columns.ToDictionary(pair => pair.Key, pair => (object)pair.Value);
        return map;
    }

    public static string Yaml(IEnumerable<KeyValuePair<string, object>> entries)
    {
        var text = new StringBuilder();
        foreach (var (key, value) in entries)
        {
            switch (value)
            {
                case System.Collections.IEnumerable list and not (string or System.Collections.IDictionary):
                    text.Append(key).AppendLine(":");
                    foreach (var item in list) text.Append("  - ").AppendLine(Inline(item));
                    break;
                default:
                    text.Append(key).Append(": ").AppendLine(Inline(value));
                    break;
            }
        }
        return text.ToString();
    }

    private static string Inline(object value) => value switch
    {
        bool flag => flag ? "true" : "false",
        double number => Number(number),
        int number => number.ToString(CultureInfo.InvariantCulture),
        Dictionary<string, object> map => "{ " + string.Join(", ", map.Select(pair => $"{Quoted(pair.Key)}: {Inline(pair.Value)}")) + " }",
        _ => Quoted(value.ToString()!),
    };

    // Every digit: a recipe makes the same run again. 1.0e-8: without the dot YAML 1.1 takes it for text.
    private static string Number(double number)
    {
        var text = number.ToString("R", CultureInfo.InvariantCulture);
        if (!text.Contains('E', StringComparison.Ordinal)) return text;
        var parts = text.Split('E');
        return $"{(parts[0].Contains('.', StringComparison.Ordinal) ? parts[0] : parts[0] + ".0")}e{(parts[1][0] == '-' ? "-" : "+")}"
            + $"{parts[1].TrimStart('+', '-').TrimStart('0')}";
    }

    /// <summary>Plain where YAML reads the same word back, else in double quotes (JSON's escapes are YAML's).</summary>
    private static string Quoted(string text) =>
        text.Length > 0 && text.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '/' or '_' or '-' or '.') && !char.IsAsciiDigit(text[0])
        && text[0] is not ('-' or '.') && text.ToLowerInvariant() is not ("true" or "false" or "null" or "yes" or "no" or "on" or "off" or "y" or "n")
            ? text
            : Json.Quote(text);
}
