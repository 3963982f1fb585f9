using System.Text.Json;
using Trainer.Data;
using Trainer.Training.Options;

namespace Trainer.Training.State;

/// <summary>Names every difference between what a run was started with and what it would be resumed with.</summary>
internal static class Drift
{
    /// <summary>The differences between two runs.</summary>
    /// <returns>Sentences to refuse with, and sentences to warn with.</returns>
    public static (List<string> Refused, List<string> Warned) Between(TrainingOptions then, Fingerprint? filesThen, TrainingOptions now, Fingerprint filesNow)
    {
        var (refused, warned) = OfOptions(then, now);
        if (filesThen is not null) refused.AddRange(OfFiles(filesThen, filesNow));
        return (refused, warned);
    }

    /// <summary>The options that differ, as they are read.</summary>
    public static (List<string> Refused, List<string> Warned) OfOptions(TrainingOptions then, TrainingOptions now)
    {
        var (refused, warned) = (new List<string>(), new List<string>());
        (then, now) = (Settled(then), Settled(now));
        foreach (var setting in TrainSettings.All.Where(setting => setting.Property is not null && setting.Drift != DriftRule.Free))
        {
            // A value left out and the same value written are no difference; nor is one that another option, told itself, takes its meaning from.
            var (old, current) = (Written(setting, then), Written(setting, now));
            if (old == current || Text(setting.Property!.Get(then)) == Text(setting.Property.Get(now))) continue;
            var name = setting.Kind == SettingKind.Sources ? $"{setting.Option} (shares and columns)" : setting.Option;
            (setting.Drift == DriftRule.LastBit ? warned : refused).Add($"{name} was {old} and is {current}");
        }
        return (refused, warned);
    }

    /// <summary>The files that differ by their contents.</summary>
    public static List<string> OfFiles(Fingerprint then, Fingerprint now)
    {
        var refused = new List<string>();
        Compare("base", then.Base, now.Base, refused);
        Compare("tokenizer", then.Tokenizer, now.Tokenizer, refused);
        // One file is the whole set of templates, whatever it is called.
        if (then.Template.Count != 1 || now.Template.Count != 1 || then.Template.Values.Single() != now.Template.Values.Single())
            Compare("chat template", then.Template, now.Template, refused);
        if (DataDrift.Between(then.Data, now.Data) is { } difference) refused.Add(difference);
        Compare("adapter", then.Adapter, now.Adapter, refused);
        return refused;
    }

    private static void Compare(string what, IReadOnlyDictionary<string, string> then, IReadOnlyDictionary<string, string> now, List<string> refused)
    {
        foreach (var name in then.Keys.Union(now.Keys).Order(StringComparer.Ordinal))
        {
            var (old, current) = (then.GetValueOrDefault(name), now.GetValueOrDefault(name));
            if (old == current) continue;
            refused.Add(old is null ? $"the {what} has a new file '{name}'"
                : current is null ? $"the {what} has lost its file '{name}'" : $"the {what}'s file '{name}' has changed");
        }
    }

    /// <summary>The options as they are read: what says the default and what is unset are one.</summary>
    private static TrainingOptions Settled(TrainingOptions options) => options with
    {
        DataSeed = options.DataSeed == options.Seed ? null : options.DataSeed,
        Lora = options.Lora with { LoraPlusRatio = options.Lora.LoraPlusRatio == 1 ? null : options.Lora.LoraPlusRatio },
    };

    // What a recipe would hold.
    private static string Written(Setting setting, TrainingOptions options) =>
        Text(setting.Writes is { } write ? write(options) : setting.Property!.Get(options));

    private static string Text(object? value)
    {
        if (value is Enum word) return OptionWords.Of(word);
        // Where a source lies may change; its share and its columns decide what is trained. The contents are compared by their hashes.
        if (value is IReadOnlyList<DataSource> sources) value = sources.Select(source => source with { Path = "" }).ToList();
        return value is null ? "unset" : JsonSerializer.Serialize(value, value.GetType(), RunJson.Line).Trim('"');
    }
}
