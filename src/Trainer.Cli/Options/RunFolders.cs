using Trainer.Adapters;
using Trainer.Checkpoints.Runs;
using Trainer.Training.Options;

namespace Trainer.Cli.Options;

/// <summary>What the folder of a run or adapter stands for: its base, itself as the adapter, and the template it was trained with.</summary>
internal static class RunFolders
{
    /// <summary>The recipe of a run, in the run's folder.</summary>
    public const string Recipe = "recipe.yaml";

    /// <summary>Whether a folder holds an adapter and no model.</summary>
    public static bool IsAdapter(string? path) =>
        path is not null && File.Exists(Path.Combine(path, PeftFolder.ConfigFile)) && !File.Exists(Path.Combine(path, "config.json"));

    /// <summary>The run that a folder is, or of which it is a checkpoint.</summary>
    public static string RunOf(string folder)
    {
        var full = Path.TrimEndingDirectorySeparator(folder);
        return CheckpointFolder.IsNamed(full) && Path.GetDirectoryName(Path.GetFullPath(full)) is { } parent && !File.Exists(Path.Combine(full, Recipe))
            ? Path.GetDirectoryName(full) is { Length: > 0 } named ? named : parent
            : full;
    }

    /// <summary>
    /// The values with a run or adapter folder, given as the word behind the command or as --model, put where it belongs;
    /// any other word behind the command is the model.
    /// </summary>
    public static SettingValues Expand(SettingValues values, string? word)
    {
        var model = values.Text(ModelSettings.Model);
        if (word is not null)
        {
            if (values.Has(AdapterSettings.Adapter) && IsAdapter(word))
                values.Fault($"'{word}' and {values.Origin(AdapterSettings.Adapter)} both name an adapter; keep one");
            if (!IsAdapter(word) && model is not null) values.Fault($"'{word}' and {values.Origin(ModelSettings.Model)} both name a model; keep one");
            if (!IsAdapter(word)) return values.With(ModelSettings.Model, word);
        }
        var folder = word ?? (IsAdapter(model) ? model : null);
        if (folder is null) return values;
        if (word is null && values.Has(AdapterSettings.Adapter))
            values.Fault($"{values.Origin(ModelSettings.Model)} '{folder}' is an adapter, and {values.Origin(AdapterSettings.Adapter)} names one too; keep "
                + "one");
        var result = values.With(AdapterSettings.Adapter, folder);
        if (word is null || model is null)
        {
            if (BaseOf(folder) is { Length: > 0 } named) result = result.With(ModelSettings.Model, named);
            else values.Fault($"adapter '{folder}' does not name its base; add --model MODEL");
        }
        var template = Path.Combine(RunOf(folder), "chat_template.jinja");
        if (!values.Has(DataSettings.ChatTemplate) && File.Exists(template)) result = result.With(DataSettings.ChatTemplate, template);
        return result;
    }

    /// <summary>The base as the run's recipe names it, else as the adapter does.</summary>
    public static string? BaseOf(string folder)
    {
        var recipe = Reports.RunReader.ReadSettings(Path.Combine(RunOf(folder), Recipe)).FirstOrDefault(setting => setting[0] == ModelSettings.Model.Key)?[1];
        return recipe ?? PeftFolder.ReadSpec(folder).BaseModel;
    }
}
