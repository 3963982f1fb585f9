namespace Trainer.Data.Sources;

/// <summary>
/// The files of a source and their rows: a file itself, or a folder's splits (as its card declares them, as LLaMA-Factory's description names
/// them, or as names of files and folders tell), cut to the part that the source asks for.
/// </summary>
internal sealed class SourceFiles
{
    private readonly DataSource _source;
    private readonly Dictionary<string, List<FoundFile>> _splits = new(StringComparer.Ordinal);
    private readonly List<string> _notes = [];
    private readonly List<string> _others = [];
    private readonly bool _isFile;

    private SourceFiles(DataSource source)
    {
        _source = source;
        var path = source.Path;
        if (Directory.Exists(path)) ReadFolder(path);
        else if (!File.Exists(path)) throw new DataException($"no data file or folder '{path}': nothing is there; check the path");
        else if (DatasetInfo.Read(path) is { } info && Path.GetFileName(path) == DatasetInfo.FileName) Named(info, path);
        else
        {
            if (source.Subset is { } subset) throw new DataException($"data file '{path}' has no subset '{subset}': it is one file; leave the subset out");
            (_isFile, _splits[SplitNames.Train]) = (true, [new FoundFile(path, source.Columns)]);
        }
    }

    /// <summary>Files to train on, and what of the source is not read.</summary>
    /// <param name="source">The source.</param>
    /// <param name="most">At most so many rows, the first ones; null for all.</param>
    public static (IReadOnlyList<FoundFile> Files, IReadOnlyList<string> Notes) Train(DataSource source, long? most = null)
    {
        var found = new SourceFiles(source);
        if (source.Split is null)
            foreach (var (split, files) in found._splits.Where(pair => !SplitNames.IsCommon(pair.Key)))
                found._notes.Add($"split '{split}' of '{source.Name ?? source.Path}' is not read ({files.Count} {(files.Count == 1 ? "file" : "files")}): "
                    + $"--data {source.Name ?? source.Path},split={split} trains on it");
        return (Limit(found.Asked(SplitNames.Train), most), found._notes);
    }

    /// <summary>The held-out split of a training source, or nothing; never a file that is trained on.</summary>
    public static IReadOnlyList<FoundFile> HeldOut(DataSource source, long? most = null)
    {
        var found = new SourceFiles(source);
        if (found._isFile) return [];
        var trained = found.Asked(SplitNames.Train).Select(file => Path.GetFullPath(file.Path)).ToHashSet(StringComparer.Ordinal);
        foreach (var split in (ReadOnlySpan<string>)[SplitNames.Validation, SplitNames.Evaluation])
            if (found._splits.TryGetValue(split, out var files) && !files.Exists(file => trained.Contains(Path.GetFullPath(file.Path))))
                return Limit(files, most);
        return [];
    }

    /// <summary>Files of a source named for evaluation: the validation split, else evaluation, else test, else all of it.</summary>
    public static (IReadOnlyList<FoundFile> Files, IReadOnlyList<string> Notes) Eval(DataSource source, long? most = null)
    {
        var found = new SourceFiles(source);
        var split = Array.Find([SplitNames.Validation, SplitNames.Evaluation, SplitNames.Test], found._splits.ContainsKey)
            ?? (found._splits.Count == 1 ? found._splits.Keys.First() : SplitNames.Validation);
        return (Limit(found.Asked(split), most), found._notes);
    }

    private void ReadFolder(string folder)
    {
        var info = DatasetInfo.Read(Path.Combine(folder, DatasetInfo.FileName));
        if (info is not null && _source.Subset is not null)
        {
            Named(info, folder);
            return;
        }
        var card = DatasetCard.Read(folder);
        var subset = card?.Choose(_source.Subset, _source.Name, folder);
        if (card is null && _source.Subset is { } below)
        {
            folder = Path.Combine(folder, below);
            if (below.Split('/', '\\').Contains("..") || !Directory.Exists(folder))
                throw new DataException($"data folder '{_source.Path}' has no subset '{below}': no folder of it is called so, and its README.md declares "
                    + "none; leave the subset out");
        }
        var found = FolderFiles.In(folder);
        _notes.AddRange(found.Notes);
        var splits = subset is null ? null : card!.Files(subset, found.Files, folder);
        if (splits is null)
        {
            (splits, var rest) = SplitNames.Infer(found.Files, folder);
            _others.AddRange(rest);
            if (rest.Count > 0) _notes.Add(FolderFiles.LeftOut(rest, folder, "of no split"));
        }
        foreach (var (split, files) in splits) _splits[split] = [.. files.Select(file => new FoundFile(file, Joined(_source.Columns, info?.ColumnsOf(file))))];
    }

    private void Named(DatasetInfo info, string path)
    {
        if (_source.Subset is not { } name)
            throw new DataException($"'{path}' describes data sets and is none: it "
                + $"names {string.Join(", ", info.Names.Take(20).Select(each => $"'{each}'"))}{(info.Names.Count > 20 ? ", ..." : "")}; name one: "
                + $"--data {path},subset={info.Names.First()}");
        var (file, columns, most) = info.Find(name);
        var inner = new SourceFiles(_source with { Path = file, Subset = null, Columns = Joined(_source.Columns, columns) });
        foreach (var (split, files) in inner._splits) _splits[split] = [.. Limit(files, most)];
    }

    /// <summary>The user's mapping over the description's; what either leaves out is left out.</summary>
    private static IReadOnlyDictionary<string, string>? Joined(IReadOnlyDictionary<string, string>? given, IReadOnlyDictionary<string, string>? described)
    {
        if (given is null || described is null) return given ?? described;
        var joined = new Dictionary<string, string>(described);
        foreach (var (ours, theirs) in given) joined[ours] = theirs;
        if (!described.TryGetValue("ignore", out var others)) return joined;
        // A column that is asked for is read, though the description does not name it.
        joined["ignore"] = string.Join('+', others.Split('+').Except(given.Where(pair => pair.Key != "ignore").Select(pair => pair.Value))
            .Concat(given.TryGetValue("ignore", out var more) ? more.Split(',', '+') : []));
        return joined;
    }

    /// <summary>The rows the source's expression asks for, of the given split where it names none.</summary>
    private List<FoundFile> Asked(string split)
    {
        if (_source.Split is null) return Files(split);
        var found = new List<FoundFile>();
        foreach (var part in SplitExpression.Parse(_source.Split))
        {
            var files = Files(part.Split.Length == 0 ? split : part.Split);
            found.AddRange(part.IsWhole ? files : Part(files, part));
        }
        return found.Count > 0 ? found : throw new DataException($"'{_source.Split}' of data source '{_source.Path}' has no rows; ask for others");
    }

    private List<FoundFile> Files(string split)
    {
        if (_splits.TryGetValue(split, out var files) || _splits.TryGetValue(SplitNames.Canonical(split), out files)) return files;
        if (_isFile) throw new DataException($"data file '{_source.Path}' has no split '{split}': a file is one split, train; write [:10%] for a part of it");
        var all = _splits.Values.SelectMany(list => list).Select(file => file.Path).ToList();
        if (split == SplitNames.Train && _splits.Keys.All(key => key is SplitNames.Validation or SplitNames.Evaluation or SplitNames.Test))
            throw new DataException($"data folder '{_source.Path}' has no train split: it "
                + $"holds {FolderFiles.Names(all, _source.Path)}{(_others.Count > 0 ? $", and of no split {FolderFiles.Names(_others, _source.Path)}" : "")}"
                + $"; name the {(_others.Count > 0 ? "files themselves with --data and --eval-data" : "file itself")}, or call one train.jsonl");
        throw new DataException($"data '{_source.Name ?? _source.Path}' has no split "
            + $"'{split}': it has {string.Join(", ", _splits.Keys.Select(key => $"'{key}'"))}; name one of them, such as "
            + $"--data {_source.Name ?? _source.Path},split={_splits.Keys.First()}{(_source.Name is null ? "" : ", or fetch the rest: trainer download "
                + $"--dataset {_source.Name}")}");
    }

    private static List<FoundFile> Part(List<FoundFile> files, SplitExpression part)
    {
        var counts = new long[files.Count];
        long total = 0;
        for (var f = 0; f < counts.Length; f++)
        {
            counts[f] = files[f].Rows?.Count ?? RowCounter.Count(files[f].Path, part.Needed - total);
            total += counts[f];
        }
        var (from, to) = part.Resolve(total);
        var found = new List<FoundFile>();
        long before = 0;
        for (var f = 0; f < counts.Length; before += counts[f++])
        {
            var start = files[f].Rows?.From ?? 0;
            var rows = new RowRange(start + Math.Max(0, from - before), start + Math.Min(counts[f], to - before));
            if (rows.Count > 0) found.Add(files[f] with { Rows = rows });
        }
        return found;
    }

    private static List<FoundFile> Limit(List<FoundFile> files, long? most)
        => most is not { } limit ? files : Part(files, new SplitExpression("", null, limit, false, false));
}
