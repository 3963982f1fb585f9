using Trainer.Cli.CommandLine;

namespace Trainer.Cli.Options;

/// <summary>The model as the user named it, and the folder that name leads to.</summary>
internal sealed record ModelReference(string Name, string? Directory, string? Absence)
{
    public static ModelReference Read(SettingValues values)
    {
        if (values.Text(ModelSettings.Model) is { } name) return Find(name);
        values.Fault("no model; add --model DIR, --model ORG/NAME (a hub id) or --model tiny");
        return new ModelReference("model", null, null);
    }

    public static ModelReference Find(string name)
    {
        if (System.IO.Directory.Exists(name)) return new ModelReference(name, name, null);
        if (name == "tiny") return new ModelReference(name, Embedded.TinyModel, System.IO.Directory.Exists(Embedded.TinyModel) ? null : $"the embedded model is missing ({Embedded.TinyModel}): the installation is incomplete; install trainer again");
        var looksLikeHubId = name.Count(letter => letter == '/') == 1 && !name.StartsWith('.') && !name.StartsWith('/') && !name.StartsWith('~') && !name.EndsWith('/');
        if (!looksLikeHubId)
        {
            var near = DidYouMean.Nearest(name, ["tiny"]);
            return new ModelReference(name, null, $"no model folder '{name}'" + (near is null ? "; give a folder with config.json, a hub id (ORG/NAME) or 'tiny'" : $"; did you mean '{near}'?"));
        }
        return FindInCache(name);
    }

    private static ModelReference FindInCache(string id)
    {
        var cache = CacheFolder();
        var repository = Path.Combine(cache, "models--" + id.Replace("/", "--", StringComparison.Ordinal));
        var reference = Path.Combine(repository, "refs", "main");
        if (File.Exists(reference))
        {
            var snapshot = Path.Combine(repository, "snapshots", File.ReadAllText(reference).Trim());
            if (File.Exists(Path.Combine(snapshot, "config.json"))) return new ModelReference(id, snapshot, null);
        }
        return new ModelReference(id, null, $"model '{id}' is not on this machine (looked in {cache}); get it with: trainer download {id}");
    }

    private static string CacheFolder()
    {
        if (Environment.GetEnvironmentVariable("HF_HUB_CACHE") is { Length: > 0 } cache) return cache;
        if (Environment.GetEnvironmentVariable("HF_HOME") is { Length: > 0 } home) return Path.Combine(home, "hub");
        return Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache", "huggingface", "hub");
    }

    /// <summary>The folder, or the exit with code 69 and what to type.</summary>
    public string ThrowIfAbsent() => Absence is null ? Directory! : throw new CommandFailedException(ExitCode.Missing, Absence);
}
