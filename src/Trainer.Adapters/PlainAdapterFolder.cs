using Trainer.Engine;

namespace Trainer.Adapters;

/// <summary>
/// An adapter folder in the form that every reader takes. A raw PiSSA or OLoRA folder is converted for the original base, as PEFT's
/// path_initial_model_for_weight_conversion does, into a folder that lives as long as this; any other is itself.
/// </summary>
public sealed class PlainAdapterFolder : IDisposable
{
    private readonly DirectoryInfo? _made;

    private PlainAdapterFolder(string folder, DirectoryInfo? made) => (Folder, _made) = (folder, made);

    /// <summary>The folder to read.</summary>
    public string Folder { get; }

    /// <summary>Whether it had to be made.</summary>
    public bool IsConverted => _made is not null;

    /// <summary>Finds, or makes, the plain form.</summary>
    /// <param name="baseFolder">The base's folder; its weights are read where the adapter must be converted.</param>
    /// <param name="adapterFolder">A PEFT adapter folder.</param>
    /// <exception cref="AdapterException">Broken folder, or an adapter of another base.</exception>
    public static PlainAdapterFolder Of(string baseFolder, string adapterFolder)
    {
        var (raw, baseModel) = PeftFolder.ReadSpec(adapterFolder);
        if (!raw.IsDoubled) return new PlainAdapterFolder(adapterFolder, null);
        var made = Directory.CreateTempSubdirectory("trainer-adapter-");
        try
        {
            using var model = CausalModel.Load(baseFolder, new ModelLoadOptions());
            var spec = PeftFolder.Load(model, adapterFolder);
            PeftFolder.Save(made.FullName, model, spec, baseModel ?? baseFolder);
            return new PlainAdapterFolder(made.FullName, made);
        }
        catch
        {
            made.Delete(recursive: true);
            throw;
        }
    }

    /// <summary>Deletes what was made.</summary>
    public void Dispose() => _made?.Delete(recursive: true);
}
