using Trainer.Tokenizers;
using Trainer.Training.Options;

namespace Trainer.Cli.Options;

/// <summary>The tokenizer of commands that need text alone: a model's, or a folder with tokenizer files.</summary>
internal static class TextSource
{
    public static readonly Setting Tokenizer = new("tokenizer", SettingKind.Text, "Model",
        "Folder with tokenizer files alone, in place of --model.") { Short = "-t", Value = "DIR" };

    /// <summary>Folder with tokenizer files.</summary>
    public static string Folder(SettingValues values)
    {
        var (model, tokenizer) = (values.Text(ModelSettings.Model), values.Text(Tokenizer));
        if (model is not null && tokenizer is not null)
            values.Fault($"{values.Origin(ModelSettings.Model)} and {values.Origin(Tokenizer)} both name a tokenizer; keep one");
        if (model is null && tokenizer is null) values.Fault("no tokenizer; add --model MODEL or --tokenizer DIR");
        if (tokenizer is not null && !Directory.Exists(tokenizer)) values.Fault($"{values.Origin(Tokenizer)} '{tokenizer}': no such folder");
        values.ThrowIfFaulty();
        return tokenizer ?? ModelReference.Find(model!, needsWeights: false).ThrowIfAbsent();
    }

    public static HfTokenizer Load(SettingValues values) => HfTokenizer.Load(Folder(values));
}
