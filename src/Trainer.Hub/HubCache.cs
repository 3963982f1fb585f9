namespace Trainer.Hub;

/// <summary>
/// The folder layout that every Hugging Face tool shares: models--ORG--NAME (or datasets--ORG--NAME)/{blobs, refs, snapshots}, where refs/main holds a commit
/// and
/// snapshots/COMMIT holds links to blobs named by their checksum.
/// </summary>
public sealed class HubCache(string folder)
{
    /// <summary>The folder of all models.</summary>
    public string Folder { get; } = folder;

    /// <summary>The folder of one model or data set.</summary>
    public string ModelFolder(HubModelId model)
    {
        ArgumentNullException.ThrowIfNull(model);
        return Path.Combine(Folder, (model.Kind == HubKind.Dataset ? "datasets--" : "models--") + model.Id.Replace("/", "--", StringComparison.Ordinal));
    }

    /// <summary>The snapshot folder of a model and revision, or null where it was never fetched.</summary>
    public string? Snapshot(HubModelId model)
    {
        string repository = ModelFolder(model), snapshots = Path.Combine(repository, "snapshots");
        var direct = Path.Combine(snapshots, model.Revision);
        if (model.IsRevisionGiven && !model.Revision.Contains('/', StringComparison.Ordinal) && Directory.Exists(direct))
            return direct;
        var reference = Path.Combine([repository, "refs", .. model.Revision.Split('/')]);
        if (File.Exists(reference))
        {
            // A commit and a newline; a pipe or a device, which have no length, are none. A link's length would be its own.
            var file = new FileInfo(reference);
            var commit = (file.ResolveLinkTarget(returnFinalTarget: true) as FileInfo ?? file).Length is > 0 and < 256
                ? File.ReadAllText(reference).Trim() : "";
            var snapshot = Path.Combine(snapshots, commit);
            return commit.Length > 0 && commit.All(char.IsAsciiLetterOrDigit) && Directory.Exists(snapshot) ? snapshot : null;
        }
        if (!Directory.Exists(snapshots)) return null;
        var all = Directory.GetDirectories(snapshots);
        // Fetched by commit alone: no name points to it, but there is no doubt which one is meant.
        return !model.IsRevisionGiven ? all.Length == 1 ? all[0] : null
            : model.Revision.Length >= 7 ? all.SingleOrDefault(path => Path.GetFileName(path).StartsWith(model.Revision, StringComparison.Ordinal)) : null;
    }

    /// <summary>The ids of all models in the cache.</summary>
    public IReadOnlyList<string> Models()
    {
        const string Prefix = "models--";
        return Directory.Exists(Folder)
            ? [.. Directory.EnumerateDirectories(Folder, Prefix + "*")
                .Select(static path => Path.GetFileName(path)[Prefix.Length..].Replace("--", "/", StringComparison.Ordinal)).Order(StringComparer.Ordinal)]
            : [];
    }
}
