using System.Text.Json;
using Trainer.Data;
using Trainer.Training.Options;

namespace Trainer.Training;

/// <summary>Names every difference between what a run was started with and what it would be resumed with.</summary>
internal static class Drift
{
    /// <summary>The differences between two runs.</summary>
    /// <returns>Sentences to refuse with, and sentences to warn with.</returns>
    public static (List<string> Refused, List<string> Warned) Between(TrainingOptions then, Fingerprint? filesThen, TrainingOptions now, Fingerprint filesNow)
    {
        var refused = new List<string>();
        var warned = new List<string>();
        foreach (var setting in TrainSettings.All.Where(setting => setting.Property is not null && setting.Drift != DriftRule.Free))
        {
            // A value left out and the same value written are no difference; nor is one that another option, told itself, takes its meaning from.
            var (old, current) = (Written(setting, then), Written(setting, now));
            if (old == current || Text(setting.Property!.Get(then)) == Text(setting.Property.Get(now))) continue;
            var name = setting.Kind == SettingKind.Sources ? $"{setting.Option} (shares and columns)" : setting.Option;
            (setting.Drift == DriftRule.LastBit ? warned : refused).Add($"{name} was {old} and is {current}");
        }
        if (filesThen is null) return (refused, warned);
        Compare("base", filesThen.Base, filesNow.Base, refused);
        Compare("tokenizer", filesThen.Tokenizer, filesNow.Tokenizer, refused);
        Compare("chat template", filesThen.Template, filesNow.Template, refused);
        CompareData(filesThen.Data, filesNow.Data, refused);
        Compare("adapter", filesThen.Adapter, filesNow.Adapter, refused);
        return (refused, warned);
    }

    private static void Compare(string what, IReadOnlyDictionary<string, string> then, IReadOnlyDictionary<string, string> now, List<string> refused)
    {
        foreach (var name in then.Keys.Union(now.Keys).Order(StringComparer.Ordinal))
        {
            var (old, current) = (then.GetValueOrDefault(name), now.GetValueOrDefault(name));
            if (old == current) continue;
            refused.Add(old is null ? $"the {what} has a new file '{name}'" : current is null ? $"the {what} has lost its file '{name}'" : $"the {what}'s file '{name}' has changed");
        }
    }

    // Data may lie elsewhere on another machine: the same contents in the same order are the same data.
    private static void CompareData(IReadOnlyDictionary<string, string> then, IReadOnlyDictionary<string, string> now, List<string> refused)
    {
        if (then.Values.SequenceEqual(now.Values)) return;
        Compare("data", then, now, refused);
    }

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
