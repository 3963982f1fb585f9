using Trainer.Adapters;
using Trainer.Training;
using Trainer.Training.Options;

namespace Trainer.Cli.Options;

/// <summary>An adapter folder and the base it belongs to: the named one, or the one its adapter_config.json names.</summary>
internal sealed record AdapterSource(string Folder, string Model, string ModelFolder)
{
    public static AdapterSource Read(SettingValues values, bool needsWeights)
    {
        var folder = values.Text(ReadingSettings.Adapter);
        if (folder is null) values.Fault("no adapter; add --adapter DIR (a run folder, a checkpoint or any PEFT folder)");
        else if (!Directory.Exists(folder)) values.Fault($"{values.Origin(ReadingSettings.Adapter)} '{folder}': no such folder");
        values.ThrowIfFaulty();
        var model = values.Text(ModelSettings.Model) ?? PeftFolder.ReadSpec(folder!).BaseModel;
        if (string.IsNullOrEmpty(model)) throw new UsageException($"adapter '{folder}' does not name its base; add --model MODEL");
        return new AdapterSource(folder!, model, GrownBase.For(ModelReference.Find(model, needsWeights).ThrowIfAbsent(), folder, NewTokens.Cache));
    }
}
