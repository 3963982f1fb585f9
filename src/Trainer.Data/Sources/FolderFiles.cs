using Trainer.Data.Reading;

namespace Trainer.Data.Sources;

/// <summary>The data files of a folder, at any depth, in order; what lies there and is not read is told.</summary>
internal sealed class FolderFiles
{
    // What the datasets library passes over as well: they describe data and are none.
    private static readonly HashSet<string> Descriptions = new(StringComparer.Ordinal) { "config.json", DatasetInfo.FileName, "dataset_infos.json",
        "dataset_dict.json" };
    private static readonly string[] Papers = ["readme", "license", "licence", "notice", "changelog", "requirements"];
    private static readonly HashSet<string> Unreadable = new(StringComparer.OrdinalIgnoreCase)
    {
        ".arrow", ".feather", ".xlsx", ".xls", ".pkl", ".pickle", ".pt", ".zip", ".tar", ".tgz", ".7z", ".bz2", ".xz", ".lz4", ".avro", ".orc", ".npz", ".npy",
        ".tfrecord", ".db", ".sqlite",
    };

    private readonly List<string> _files = [];
    private readonly List<string> _hidden = [];
    private readonly List<string> _unreadable = [];
    private readonly List<string> _papers = [];
    private readonly List<string> _prose = [];
    private readonly HashSet<string> _visited = new(StringComparer.Ordinal);
    private readonly string _folder;

    private FolderFiles(string folder) => _folder = folder;

    /// <summary>The files, ordered by path.</summary>
    public IReadOnlyList<string> Files => _files;

    /// <summary>What is not read, as sentences.</summary>
    public List<string> Notes { get; } = [];

    /// <summary>Looks through a folder.</summary>
    /// <exception cref="DataException">A part of it cannot be looked into, or it holds no data.</exception>
    public static FolderFiles In(string folder)
    {
        var found = new FolderFiles(folder);
        found.Walk(new DirectoryInfo(folder), hidden: false);
        found._files.Sort(string.CompareOrdinal);
        found.PartProse();
        found.Tell(found._hidden, "hidden");
        found.Tell(found._unreadable, "of a format that is not read");
        found.Tell(found._papers, "about the data and not data");
        found.Tell(found._prose, "plain text beside files of rows (name it with --data to train on it)");
        if (found._files.Count == 0)
            throw new DataException($"data folder '{folder}' holds no data: no file in it ends "
                + $"in {string.Join(", ", RowReader.Extensions)}{(found.Notes.Count > 0 ? "; " + string.Join("; ", found.Notes) : "")}; name a folder with "
                + "data files");
        return found;
    }

    private void Walk(DirectoryInfo folder, bool hidden)
    {
        FileSystemInfo[] entries;
        try
        {
            // A link may lead back up: each folder is entered once.
            if (!_visited.Add(folder.ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? folder.FullName)) return;
            entries = folder.GetFileSystemInfos();
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new DataException($"cannot list data folder '{folder.FullName}': {fault.Message.TrimEnd('.')}; check its permissions, or name the files to "
                + "read", fault);
        }
        Array.Sort(entries, static (a, b) => string.CompareOrdinal(a.Name, b.Name));
        var describes = Array.Exists(entries, static entry => entry.Name == DatasetInfo.FileName);
        foreach (var entry in entries)
        {
            var special = hidden || entry.Name[0] == '.';
            if (entry is DirectoryInfo child || entry.LinkTarget is not null && Directory.Exists(entry.FullName)
                && (child = new DirectoryInfo(entry.FullName)) is not null)
                Walk(child, special || entry.Name.StartsWith("__", StringComparison.Ordinal));
            else File(entry, special, describes);
        }
    }

    private void File(FileSystemInfo file, bool hidden, bool describes)
    {
        var format = InputFile.FormatOf(file.Name);
        var path = Path.Combine(_folder, Path.GetRelativePath(_folder, file.FullName));
        if (Descriptions.Contains(file.Name) || describes && file.Name == "state.json") return;
        if (!RowReader.Extensions.Contains(format))
        {
            if (!hidden && Unreadable.Contains(Path.GetExtension(file.Name))) _unreadable.Add(path);
        }
        else if (hidden) _hidden.Add(path);
        else if (format == ".txt" && Array.Exists(Papers, paper => file.Name.StartsWith(paper, StringComparison.OrdinalIgnoreCase))) _papers.Add(path);
        else _files.Add(path);
    }

    /// <summary>Plain text beside rows is notes on them more often than data: nobody would see that it was trained on.</summary>
    private void PartProse()
    {
        var prose = _files.FindAll(static file => InputFile.FormatOf(file) == ".txt");
        if (prose.Count == _files.Count) return;
        _prose.AddRange(prose);
        _files.RemoveAll(prose.Contains);
    }

    private void Tell(List<string> files, string why)
    {
        if (files.Count > 0) Notes.Add(LeftOut(files, _folder, why));
    }

    /// <summary>Says which files of a folder are not read.</summary>
    public static string LeftOut(IReadOnlyList<string> files, string folder, string why) =>
        files.Count == 1 ? $"1 file of '{folder}' is not read, it is {why}: {Names(files, folder)}"
        : $"{files.Count} files of '{folder}' are not read, they are {why}: {Names(files, folder)}";

    /// <summary>Files by their names inside a folder, the first few.</summary>
    public static string Names(IReadOnlyList<string> files, string folder) =>
        string.Join(", ", files.Take(5).Select(file => $"'{Path.GetRelativePath(folder, file)}'")) + (files.Count > 5 ? ", ..." : "");
}
