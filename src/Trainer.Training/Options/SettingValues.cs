using System.Globalization;

namespace Trainer.Training.Options;

/// <summary>What the user said, read as numbers, words and lists; faults are collected, not thrown.</summary>
public sealed class SettingValues
{
    private readonly IReadOnlyDictionary<string, SettingValue> _values;
    private readonly List<string> _faults;

    /// <summary>Values with no fault so far.</summary>
    /// <param name="values">What was said, by key.</param>
    public SettingValues(IReadOnlyDictionary<string, SettingValue> values) : this(values, []) { }

    private SettingValues(IReadOnlyDictionary<string, SettingValue> values, List<string> faults) => (_values, _faults) = (values, faults);

    /// <summary>What was wrong so far, a sentence each.</summary>
    public IReadOnlyList<string> Faults => _faults;

    /// <summary>These values over <paramref name="below"/>: the command line over the recipe.</summary>
    /// <param name="below">The recipe's values.</param>
    /// <param name="rivals">Pairs that exclude each other: naming one above drops the other below.</param>
    public SettingValues Over(IReadOnlyDictionary<string, SettingValue> below, IReadOnlyList<(Setting, Setting)> rivals)
    {
        var merged = new Dictionary<string, SettingValue>(below);
        foreach (var (one, other) in rivals)
        {
            if (Has(one)) merged.Remove(other.Key);
            if (Has(other)) merged.Remove(one.Key);
        }
        foreach (var (key, value) in _values) merged[key] = value;
        return new SettingValues(merged);
    }

    /// <summary>These values with one more, in place of what was said of it; faults are shared.</summary>
    public SettingValues With(Setting setting, string text) =>
        new(new Dictionary<string, SettingValue>(_values) { [setting.Key] = new(Origin(setting), [new SettingItem(text)]) }, _faults);

    /// <summary>Whether it was said.</summary>
    public bool Has(Setting setting) => _values.ContainsKey(setting.Key);

    /// <summary>Whether both were said in the same place, command line or recipe; across places the command line has won.</summary>
    public bool AreTogether(Setting one, Setting other) => Has(one) && Has(other) && IsTyped(one) == IsTyped(other);

    private bool IsTyped(Setting setting) => _values[setting.Key].Origin.StartsWith('-');

    /// <summary>How a message names the setting: as the user typed it.</summary>
    public string Origin(Setting setting) => _values.TryGetValue(setting.Key, out var value) ? value.Origin : setting.Option;

    /// <summary>Adds a fault, once.</summary>
    public void Fault(string message)
    {
        if (!_faults.Contains(message)) _faults.Add(message);
    }

    /// <summary>Throws <see cref="UsageException"/> with every fault.</summary>
    public void ThrowIfFaulty()
    {
        if (_faults.Count > 0) throw new UsageException(_faults);
    }

    /// <summary>The words that were given, or none.</summary>
    public IReadOnlyList<SettingItem> Items(Setting setting)
    {
        if (!_values.TryGetValue(setting.Key, out var value)) return [];
        return setting.IsPath ? [.. value.Items.Select(item => item with { Text = UserPath.Expand(item.Text) })] : value.Items;
    }


    /// <summary>The one word that was given, the bare meaning where there is none, or null.</summary>
    public string? Text(Setting setting)
    {
        if (!_values.TryGetValue(setting.Key, out var value)) return null;
        var items = Items(setting);
        if (items.Count == 0) return setting.Bare;
        if (items.Any(item => item.Text != items[0].Text))
        {
            Fault($"{value.Origin} was given {items.Count} different values, {string.Join(" and ", items.Select(item => $"'{item.Text}'"))}; keep one");
            return null;
        }
        if (items[0].Text.Length == 0) Fault($"{value.Origin} is empty; give {setting.Value}");
        return items[0].Text;
    }

    /// <summary>Words separated by commas or given one by one.</summary>
    public IReadOnlyList<string> List(Setting setting) =>
        [.. Items(setting).SelectMany(item => item.Text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))];

    /// <summary>A whole number in the range, or null.</summary>
    public int? Integer(Setting setting)
    {
        if (Text(setting) is not { } text) return null;
        // 5e3 and 5000.0 are whole numbers too; recipes written by other tools hold them.
        if (!double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) || number != Math.Truncate(number)
            || Math.Abs(number) > int.MaxValue)
        {
            Fault($"{Origin(setting)} '{text}' is not a whole number{setting.Range}");
            return null;
        }
        return InRange(setting, number, text) ? (int)number : null;
    }

    /// <summary>A number in the range, or null.</summary>
    public double? Number(Setting setting)
    {
        if (Text(setting) is not { } text) return null;
        if (!double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) || !double.IsFinite(number))
        {
            Fault($"{Origin(setting)} '{text}' is not a number{setting.Range}");
            return null;
        }
        return InRange(setting, number, text) ? number : null;
    }

    /// <summary>True or false, or null where nothing was said.</summary>
    public bool? Flag(Setting setting)
    {
        if (!Has(setting)) return null;
        var text = Text(setting) ?? "true";
        switch (text.ToLowerInvariant())
        {
            case "true" or "yes" or "on" or "1": return true;
            case "false" or "no" or "off" or "0": return false;
            default:
                Fault($"{Origin(setting)} '{text}' is neither true nor false");
                return null;
        }
    }

    /// <summary>The value of an enumeration that was named.</summary>
    public T? Choice<T>(Setting setting) where T : struct, Enum => Word(setting) is { } word ? (T)OptionWords.Parse(typeof(T), word) : null;

    /// <summary>One of the setting's words.</summary>
    public string? Word(Setting setting)
    {
        if (Text(setting) is not { } text) return null;
        var word = text.ToLowerInvariant().Replace('_', '-');
        if (setting.Choices.Contains(word)) return word;
        if (setting.Synonyms.TryGetValue(word, out var choice)) return choice;
        // `--gradient-checkpointing true` and `false`, as transformers takes them.
        if (setting.Bare is not null && word is "true" or "yes") return setting.Bare;
        if (setting.Bare is not null && word is "false" or "no") return setting.Choices[^1];
        var near = DidYouMean.Nearest(word, setting.Choices);
        Fault($"{Origin(setting)} '{text}' is not one of {string.Join(", ", setting.Choices)}" + (near is null ? "" : $"; did you mean '{near}'?"));
        return null;
    }

    /// <summary>An amount of memory in bytes, or null.</summary>
    public long? Bytes(Setting setting)
    {
        if (Text(setting) is not { } text) return null;
        if (Quantities.TryBytes(text, out var bytes) && bytes > 0) return bytes;
        Fault($"{Origin(setting)} '{text}' is not an amount of memory; write it like 64GiB, 800MB or 1.5TiB");
        return null;
    }

    /// <summary>A time, or null.</summary>
    public TimeSpan? Duration(Setting setting)
    {
        if (Text(setting) is not { } text) return null;
        if (Quantities.TryDuration(text, out var duration) && duration > TimeSpan.Zero) return duration;
        Fault($"{Origin(setting)} '{text}' is not a duration; write it with a unit, like 90s, 45m, 2h30m or 1d");
        return null;
    }

    private bool InRange(Setting setting, double number, string text)
    {
        if (setting.Holds(number)) return true;
        Fault($"{Origin(setting)} {text} is out of range{setting.Range}");
        return false;
    }
}
