using System.Globalization;
using Trainer.Data;

namespace Trainer.Training.Options;

/// <summary>From words to options: each bound setting that was given sets its property. Faults are collected in the values.</summary>
public static class OptionReader
{
    /// <summary>The options with everything that was given.</summary>
    /// <param name="values">What the user said.</param>
    /// <param name="options">What holds where nothing was said.</param>
    /// <param name="sources">Reads the data sources of a setting; null leaves them as they are.</param>
    /// <param name="settings">Those that are meant; null for all of <c>train</c>.</param>
    public static TrainingOptions Read(SettingValues values, TrainingOptions options, Func<Setting, IReadOnlyList<DataSource>>? sources = null,
        IEnumerable<Setting>? settings = null)
    {
        foreach (var setting in (settings ?? TrainSettings.All).Where(setting => setting.Property is not null && values.Has(setting)))
        {
            if (setting.Kind == SettingKind.Sources)
            {
                if (sources is not null) options = setting.Property!.With(options, sources(setting));
                continue;
            }
            if (IsUnset(values, setting)) options = setting.Property!.With(options, setting.Property.Initial);
            else if (Value(values, setting) is { } value) options = setting.Property!.With(options, value);
        }
        // The pull towards the reference is what the others are made of; answers that are rewarded need none (TRL's default too).
        if (options.Objective == "grpo" && !values.Has(PreferenceSettings.Beta)) options = options with { Preference = options.Preference with { Beta = 0 } };
        return values.Has(RunSettings.SamplePrompts)
            ? options with { SamplePrompts = Lines(values, RunSettings.SamplePrompts, options.SamplePromptsFile) } : options;
    }

    private static List<string> Lines(SettingValues values, Setting setting, string? path)
    {
        if (path is null || !File.Exists(path)) return [];
        Checkpoints.Atomic.RegularFile.Require(path);
        var lines = Checkpoints.Atomic.SmallFile.Lines(path).Where(line => line.Trim().Length > 0).ToList();
        if (lines.Count == 0) values.Fault($"{values.Origin(setting)} '{path}' holds no prompt; write one a line");
        return lines;
    }

    private static bool IsUnset(SettingValues values, Setting setting) =>
        setting.Unset.Length > 0 && values.Items(setting) is [var only] && setting.Unset.Contains(only.Text.ToLowerInvariant());

    /// <summary>The value that was given, of the property's type; null where there is a fault, which is then in the values.</summary>
    private static object? Value(SettingValues values, Setting setting)
    {
        if (setting.Reads is { } read) return read(values, setting);
        return setting.Kind switch
        {
            SettingKind.Integer => values.Integer(setting),
            SettingKind.Number => values.Number(setting),
            SettingKind.Flag => values.Flag(setting),
            SettingKind.Choice when setting.Property!.Type.IsEnum => values.Word(setting) is { } word ? OptionWords.Parse(setting.Property.Type, word) : null,
            SettingKind.Choice => values.Word(setting),
            SettingKind.Bytes => values.Bytes(setting),
            SettingKind.Duration => values.Duration(setting),
            SettingKind.List when setting.Property!.Type == typeof(IReadOnlyList<int>) => Integers(values, setting),
            SettingKind.List when setting.Property!.Type == typeof(IReadOnlyList<double>) => Numbers(values, setting),
            SettingKind.List => values.List(setting),
            SettingKind.Pairs when setting.Property!.Type == typeof(IReadOnlyDictionary<string, string>) => Named(values, setting),
            SettingKind.Pairs => Pairs(values, setting),
            SettingKind.File => Existing(values, setting, File.Exists, "no such file"),
            SettingKind.Folder => Existing(values, setting, Directory.Exists, "no such folder"),
            _ => values.Text(setting) is { } text ? setting.Synonyms.GetValueOrDefault(text.ToLowerInvariant(), text) : null,
        };
    }

    private static string? Existing(SettingValues values, Setting setting, Func<string, bool> exists, string otherwise)
    {
        if (values.Text(setting) is not { } path) return null;
        if (!exists(path)) values.Fault($"{values.Origin(setting)} '{path}': {otherwise}");
        Checkpoints.Atomic.RegularFile.Require(path);
        return path;
    }

    private static List<int> Integers(SettingValues values, Setting setting)
    {
        var numbers = new List<int>();
        foreach (var word in values.List(setting))
        {
            if (int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out var number)) numbers.Add(number);
            else values.Fault($"{values.Origin(setting)} '{word}' is not a whole number; write 0,1,2");
        }
        return numbers;
    }

    private static List<double> Numbers(SettingValues values, Setting setting)
    {
        var numbers = new List<double>();
        foreach (var word in values.List(setting))
        {
            if (double.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number)) numbers.Add(number);
            else values.Fault($"{values.Origin(setting)} '{word}' is not a number; write 1,0.5");
        }
        return numbers;
    }

    // name=value, by commas or as a mapping of a recipe; what a name may be is its reader's to say.
    private static Dictionary<string, string> Named(SettingValues values, Setting setting)
    {
        var named = new Dictionary<string, string>();
        foreach (var item in values.Items(setting))
        {
            foreach (var (name, value) in item.Pairs
                ?? item.Text.Split(',').Select(part => part.Split('=', 2)).ToDictionary(part => part[0].Trim(), part => part.Length > 1 ? part[1].Trim() : ""))
            {
                if (value.Length == 0) values.Fault($"{values.Origin(setting)} '{name}' has no value; write {name}=X");
                named[name.Replace('-', '_')] = value;
            }
        }
        return named;
    }

    // name=number, by commas or as a mapping of a recipe; whole numbers where the property holds them.
    private static object Pairs(SettingValues values, Setting setting)
    {
        var whole = setting.Property!.Type == typeof(IReadOnlyDictionary<string, int>);
        var pattern = new Dictionary<string, double>();
        foreach (var item in values.Items(setting))
        {
            var pairs = item.Pairs ?? item.Text.Split(',').Select(part => (part, at: part.LastIndexOf('='))).Where(pair => pair.at > 0)
                .ToDictionary(pair => pair.part[..pair.at], pair => pair.part[(pair.at + 1)..]);
            if (pairs.Count == 0)
                values.Fault($"{values.Origin(setting)} '{item.Text}' is no list of name=number; write {(whole ? "q_proj=8,down_proj=32" : "q_proj=16")}");
            foreach (var (name, text) in pairs)
            {
                if (double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && number > 0
                    && (!whole || number == Math.Truncate(number))) pattern[name] = number;
                else values.Fault($"{values.Origin(setting)} '{name}={text}': '{text}' is not a {(whole ? "whole " : "")}number above 0");
            }
        }
        return whole ? pattern.ToDictionary(pair => pair.Key, pair => (int)pair.Value) : pattern;
    }
}
