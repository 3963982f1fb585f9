namespace Trainer.Hub;

/// <summary>
/// Fetches a model into the cache that every Hugging Face tool reads: in parallel ranges, continued after a break, verified by checksum.
/// </summary>
/// <param name="options">Where from and where to.</param>
/// <param name="handler">Carries the requests without following redirects; null for the network.</param>
/// <param name="clock">Measures pauses and silences; null for the real time.</param>
public sealed class HubDownloader(HubOptions options, HttpMessageHandler? handler = null, TimeProvider? clock = null)
{
    private const int FilesAtOnce = 4;

    private readonly TimeProvider _clock = clock ?? TimeProvider.System;
    private readonly HubCache _cache = new(options.CacheFolder);

    /// <summary>Fetches the chosen files of a model that are not here yet and answers with its folder.</summary>
    /// <param name="model">What to fetch.</param>
    /// <param name="includes">Patterns of file names; empty for what a trainer reads.</param>
    /// <param name="progress">Hears of every piece that came, on any thread; null for nobody.</param>
    /// <param name="cancel">Stops at once; what has come is kept.</param>
    /// <exception cref="NotAvailableException">Offline, no access, no such model or file, no space, a server that does not do its part.</exception>
    public async Task<string> DownloadAsync(HubModelId model, IReadOnlyList<string> includes, Action<HubProgress>? progress, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(includes);
        if (options.IsOffline)
            throw new NotAvailableException($"cannot fetch '{model}': HF_HUB_OFFLINE is set; unset it to download");
        try
        {
            return await FetchAsync(model, includes, progress ?? (static _ => { }), cancel).ConfigureAwait(false);
        }
        catch (AggregateException fault) when (fault.InnerException is NotAvailableException inner)
        {
            throw inner;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or ArgumentOutOfRangeException { ParamName: "value" })
        {
            throw new NotAvailableException($"cannot fetch '{model}' into '{options.CacheFolder}': {fault.Message.TrimEnd('.')}; free some space there or set "
                + "HF_HOME to another folder", fault);
        }
    }

    /// <summary>The paths of all files of a model or data set.</summary>
    /// <param name="model">Whose files.</param>
    /// <param name="cancel">Stops at once.</param>
    /// <exception cref="NotAvailableException">Offline, no access, no such repository, a server that does not do its part.</exception>
    public async Task<IReadOnlyList<string>> ListAsync(HubModelId model, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(model);
        if (options.IsOffline)
            throw new NotAvailableException($"cannot ask for '{model}': HF_HUB_OFFLINE is set; unset it to download");
        using var client = new HubClient(options, handler);
        var patience = new Patience(options, _clock, static _ => { });
        return (await patience.AskAsync($"the list of files of '{model}'", token => client.ListAsync(model, token), cancel).ConfigureAwait(false)).Paths;
    }

    private async Task<string> FetchAsync(HubModelId model, IReadOnlyList<string> includes, Action<HubProgress> progress, CancellationToken cancel)
    {
        using var client = new HubClient(options, handler);
        var patience = new Patience(options, _clock, note => progress(new HubProgress("", 0, 0, 0, 0, note)));
        (var commit, var paths) =
            await patience.AskAsync($"the list of files of '{model}'", token => client.ListAsync(model, token), cancel).ConfigureAwait(false);
        List<string> chosen = [.. paths.Where(path => FilePattern.IsChosen(path, includes, model.Kind)).Distinct(StringComparer.Ordinal)];
        if (chosen.Count == 0)
        {
            var why = includes.Count > 0 ? $"none of its {paths.Count} files matches --include {string.Join(' ', includes)}" : model.Kind == HubKind.Dataset
                ? "it has no data file that is read (parquet, json, csv, text); its converted form may be there: trainer download "
                    + $"--dataset {model.Id}@refs/convert/parquet"
                : "it has no file that a trainer reads (weights as safetensors); choose others with --include";
            throw new NotAvailableException($"nothing to fetch from '{model}': {why}");
        }
        var files = await DescribeAsync(client, patience, model, commit, chosen, cancel).ConfigureAwait(false);
        await FetchFilesAsync(client, patience, model, commit, files, progress, cancel).ConfigureAwait(false);
        var repository = _cache.ModelFolder(model);
        if (model.Revision != commit)
        {
            // The names of revisions may hold slashes; the gate's may not.
            using var gate = await GateAsync(model, "ref-" + model.Revision.Replace('/', '-'), model.Revision,
                note => progress(new HubProgress("", 0, 0, 0, 0, note)), cancel).ConfigureAwait(false);
            WriteReference(Path.Combine([repository, "refs", .. model.Revision.Split('/')]), commit);
        }
        return Path.Combine(repository, "snapshots", commit);
    }

    private async Task<HubFile[]> DescribeAsync(HubClient client, Patience patience, HubModelId model, string commit, List<string> paths,
        CancellationToken cancel)
    {
        var files = new HubFile[paths.Count];
        await Parallel.ForEachAsync(Enumerable.Range(0, paths.Count),
            new ParallelOptions { MaxDegreeOfParallelism = options.Connections, CancellationToken = cancel }, async (i, token) =>
            files[i] = await patience.AskAsync($"'{paths[i]}' of '{model}'", attempt => client.DescribeAsync(model, commit, paths[i], attempt), token)
            .ConfigureAwait(false)).ConfigureAwait(false);
        return files;
    }

    private async Task FetchFilesAsync(HubClient client, Patience patience, HubModelId model, string commit, HubFile[] files, Action<HubProgress> progress,
        CancellationToken cancel)
    {
        string repository = _cache.ModelFolder(model), blobs = Path.Combine(repository, "blobs"), snapshot = Path.Combine(repository, "snapshots", commit);
        Directory.CreateDirectory(blobs);
        Directory.CreateDirectory(snapshot);
        long total = files.Sum(static file => file.Bytes), here = 0;
        var finished = 0;
        RequireSpace(blobs, files);
        using var connections = new SemaphoreSlim(options.Connections);
        await Parallel.ForEachAsync(files, new ParallelOptions { MaxDegreeOfParallelism = FilesAtOnce, CancellationToken = cancel }, async (file, token) =>
        {
            void Report(string? note) => progress(new HubProgress(file.Path, Interlocked.Read(ref here), total, Volatile.Read(ref finished), files.Length,
                note));
            var blob = Path.Combine(blobs, file.Etag);
            using (var gate = await GateAsync(model, file.Etag, file.Path, Report, token).ConfigureAwait(false))
            {
                var download = new BlobDownload(client, options, _clock, patience, model, commit, file, blob,
                    bytes => { Interlocked.Add(ref here, bytes); Report(null); }, Report);
                await download.RunAsync(connections, token).ConfigureAwait(false);
            }
            Link(blob, Path.Combine([snapshot, .. file.Path.Split('/')]));
            Interlocked.Increment(ref finished);
            Report(null);
        }).ConfigureAwait(false);
    }

    // The lock files of the Python library, so that it and we do not fetch one blob at once.
    private async Task<FileStream> GateAsync(HubModelId model, string name, string what, Action<string?> report, CancellationToken cancel)
    {
        var path = Path.Combine(options.CacheFolder, ".locks", Path.GetFileName(_cache.ModelFolder(model)), name + ".lock");
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        for (var told = false; ; told = true)
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException fault) when (fault.HResult is 11 or 35 || (fault.HResult & 0xFFFF) == 32)
            {
                if (!told) report($"'{what}' is being fetched by another program; waiting for it");
                await Task.Delay(TimeSpan.FromSeconds(1), _clock, cancel).ConfigureAwait(false);
            }
        }
    }

    private void RequireSpace(string blobs, HubFile[] files)
    {
        var needed = files.DistinctBy(static file => file.Etag)
            .Sum(file => new BlobRanges(Path.Combine(blobs, file.Etag), file.Bytes, options.RangeBytes).MissingBytes);
        var free = new DriveInfo(blobs).AvailableFreeSpace;
        if (needed > free)
        {
            throw new NotAvailableException($"the download needs {needed / 1e9:0.0} GB, '{options.CacheFolder}' has {free / 1e9:0.0} GB free; free some space "
                + "or set HF_HOME to another folder");
        }
    }

    private static void Link(string blob, string path)
    {
        var folder = Path.GetDirectoryName(path)!;
        Directory.CreateDirectory(folder);
        var target = Path.GetRelativePath(folder, blob);
        var link = new FileInfo(path);
        if (link.LinkTarget == target) return;
        File.Delete(path);
        try
        {
            File.CreateSymbolicLink(path, target);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException && !File.Exists(path))
        {
            File.Copy(blob, path); // Windows without the right to make links: what the Python library does there.
        }
    }

    private static void WriteReference(string path, string commit)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        // One name for all, so that a killed download leaves none behind: its next start writes over it. The gate keeps others away.
        var temporary = path + ".new";
        File.WriteAllText(temporary, commit);
        File.Move(temporary, path, overwrite: true);
    }
}
