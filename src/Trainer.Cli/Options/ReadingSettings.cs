using Trainer.Cli.CommandLine;
using Trainer.Cli.Machine;
using Trainer.Cli.Rendering;
using Trainer.Engine.Native;
using Trainer.Models;
using Trainer.Models.Families;
using Trainer.Training;
using Trainer.Training.Options;

namespace Trainer.Cli.Options;

/// <summary>Settings of commands that load a model to read with it: eval, generate, chat.</summary>
internal static class ReadingSettings
{
    public static readonly Setting Quantize = ModelSettings.Quantize with { Default = "none",
        Help = "How the base is held: as stored, 8-bit, or the 4-bit NormalFloat of QLoRA training." };

    public static readonly Setting Dtype = ModelSettings.Dtype with { Choices = ["auto", "float32", "bfloat16"], Help = "Type the base is multiplied in." };

    public static readonly Setting Adapter = AdapterSettings.Adapter with { Help = "PEFT adapter folder.",
        Aliases = ["adapter-path", .. AdapterSettings.Adapter.Aliases] };

    public static TrainingOptions Options(SettingValues values, SourceReader.Demo demo, Terminal terminal)
    {
        var model = ModelReference.Read(values);
        // A reader takes the base as it lies, where the user does not say otherwise.
        var defaults = new TrainingOptions { Model = model.Name, ModelDirectory = model.Directory ?? "", Data = new(), OutputDirectory = "",
            Quantize = QuantizeKind.None };
        var options = OptionReader.Read(values, defaults, TrainingOptionsReader.Sources(values, demo), TrainSettings.OfReaders);
        if (values.Has(ModelSettings.Model)) model.ThrowIfAbsent();
        // A word that is no device is a fault of its own, told with the others.
        if (values.Faults.Count == 0)
        {
            ComputeDevice.Require(options.Device);
            FirstUse.Require(options.Device, terminal);
        }
        var folder = GrownBase.For(options.ModelDirectory, options.AdapterDirectory, NewTokens.Cache);
        return options with { ModelDirectory = folder, Data = TrainingOptionsReader.Fitted(values, options.Data, model.Directory) };
    }

    /// <summary>An adapter learns to correct its base's rounding too, so a reader should know what it was trained on.</summary>
    /// <param name="invocation">The command.</param>
    /// <param name="adapter">The adapter's folder, or null.</param>
    /// <param name="modelFolder">The base's folder; one that is quantized itself is held so anyway.</param>
    public static void SayIfTrainedQuantized(Invocation invocation, string? adapter, string modelFolder)
    {
        if (adapter is null || invocation.Quiet || invocation.Values.Has(Quantize) || ConfigLoader.Load(modelFolder).StoredQuantization is not null) return;
        // The recipe lies in the run folder; a checkpoint is a folder below it.
        var run = Path.GetFullPath(adapter).TrimEnd('/');
        if (Path.GetFileName(run).StartsWith("checkpoint-", StringComparison.Ordinal)) run = Path.GetDirectoryName(run)!;
        var trained = Reports.RunReader.ReadSettings(Path.Combine(run, "recipe.yaml")).FirstOrDefault(setting => setting[0] == "quantize")?[1];
        if (trained is not (null or "none"))
            invocation.Terminal.Error.WriteLine($"note: this adapter was trained on a base held as {trained}; the base is used as stored here, "
                + $"--quantize {trained} uses it as in training");
    }
}
