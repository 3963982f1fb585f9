using Trainer.Checkpoints.Atomic;
using Trainer.Cli.CommandLine;
using Trainer.Engine.Gguf;
using Trainer.Hub;
using Trainer.Training;
using Trainer.Training.Options;

namespace Trainer.Cli.Options;

/// <summary>The model as the user named it, and the folder that name leads to or why there is none.</summary>
internal sealed record ModelReference(string Name, string? Directory, string? Absence)
{
    /// <param name="values">What the user said.</param>
    /// <param name="needsWeights">Whether the weights must be there; a plan needs config.json alone.</param>
    public static ModelReference Read(SettingValues values, bool needsWeights = true)
    {
        if (values.Text(ModelSettings.Model) is { } name) return Find(name, needsWeights);
        values.Fault("no model; add --model DIR, --model FILE.gguf, --model ORG/NAME (a hub id) or --model tiny");
        return new ModelReference("model", null, null);
    }

    public static ModelReference Find(string name, bool needsWeights = true)
    {
        if (name == "tiny" && !System.IO.Directory.Exists(name))
        {
            var isThere = System.IO.Directory.Exists(Embedded.TinyModel);
            return new ModelReference(name, Embedded.TinyModel,
                isThere ? null : $"the embedded model is missing ({Embedded.TinyModel}): the installation is incomplete; install trainer again");
        }
        try
        {
            // Its folder is made once, beside other things that can be made again.
            if (File.Exists(name) && name.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase))
                return new ModelReference(name, GgufFolder.Of(name, Path.Combine(UserCache.Folder, "gguf")), null);
            if (name.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) && !System.IO.Directory.Exists(name))
                return new ModelReference(name, null, $"--model '{name}': there is no such file; check the path");
            var folder = new ModelSource(HubOptions.FromEnvironment()).Resolve(name, needsWeights);
            RegularFile.RequireAll(folder);
            return new ModelReference(name, folder, null);
        }
        catch (NotAvailableException fault)
        {
            var near = DidYouMean.Nearest(name, ["tiny"]);
            return new ModelReference(name, null, near is null ? fault.Message : $"no model '{name}'; did you mean '{near}'?");
        }
    }

    /// <summary>The folder, or the exit with code 69 and what to type.</summary>
    public string ThrowIfAbsent() => Absence is null ? Directory! : throw new CommandFailedException(ExitCode.Missing, Absence);
}
