namespace Trainer.Data.Reading;

/// <summary>Which files a source means: a file itself, or a folder's splits by name.</summary>
internal static class DataFiles
{
    private static readonly string[] TrainNames = ["train", "training"];
    private static readonly string[] ValidNames = ["valid", "validation", "val", "dev", "eval"];
    private static readonly string[] TestNames = ["test"];

    /// <summary>Files to train on: the train split where the folder names splits, else every data file in it.</summary>
    public static IReadOnlyList<string> Train(string path)
    {
        if (!IsFolder(path)) return [path];
        var files = InFolder(path);
        var train = Split(files, path, TrainNames);
        if (train.Count > 0) return train;
        if (Split(files, path, ValidNames).Count > 0 || Split(files, path, TestNames).Count > 0)
            throw new DataException($"data folder '{path}' has no train split: it holds {Names(files, path)}; name the file itself, or call one train.jsonl");
        return files;
    }

    /// <summary>The held-out split of a training folder, or nothing.</summary>
    public static IReadOnlyList<string> HeldOut(string path) => IsFolder(path) ? Split(InFolder(path), path, ValidNames) : [];

    /// <summary>Files of a source named for evaluation: the valid split, else the test split, else every data file.</summary>
    public static IReadOnlyList<string> Eval(string path)
    {
        if (!IsFolder(path)) return [path];
        var files = InFolder(path);
        var valid = Split(files, path, ValidNames);
        if (valid.Count > 0) return valid;
        var test = Split(files, path, TestNames);
        return test.Count > 0 ? test : files;
    }

    private static bool IsFolder(string path)
    {
        if (Directory.Exists(path)) return true;
        if (!File.Exists(path)) throw new DataException($"no data file or folder '{path}': nothing is there; check the path");
        return false;
    }

    private static List<string> InFolder(string folder)
    {
        List<string> files;
        try
        {
            files = [.. Directory.EnumerateFiles(folder, "*", new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 2 })
                .Where(file => RowReader.Extensions.Contains(InputFile.FormatOf(file)))];
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new DataException($"cannot list data folder '{folder}': {fault.Message.TrimEnd('.')}; check its permissions", fault);
        }
        files.Sort(string.CompareOrdinal);
        if (files.Count == 0) throw new DataException($"data folder '{folder}' holds no data: no file in it ends in {string.Join(", ", RowReader.Extensions)}; name a folder with data files");
        return files;
    }

    private static List<string> Split(List<string> files, string folder, string[] names)
    {
        var found = files.Where(file => Path.GetRelativePath(folder, file).Split('/', '\\').Any(part => Named(part, names))).ToList();
        foreach (var twins in found.GroupBy(Stem, StringComparer.Ordinal))
            if (twins.Count() > 1)
                throw new DataException($"data folder '{folder}' has one split twice: {Names([.. twins], folder)}; name the file itself");
        return found;
    }

    /// <summary><c>train.jsonl</c>, <c>train-00000-of-00002.parquet</c>, <c>train_1.csv</c>, or a folder <c>train</c>.</summary>
    private static bool Named(string part, string[] names)
    {
        foreach (var name in names)
            if (part.StartsWith(name, StringComparison.OrdinalIgnoreCase) && (part.Length == name.Length || part[name.Length] is '.' or '-' or '_'))
                return true;
        return false;
    }

    private static string Stem(string file)
    {
        var format = InputFile.FormatOf(file);
        return file[..file.LastIndexOf(format, StringComparison.OrdinalIgnoreCase)];
    }

    private static string Names(List<string> files, string folder) =>
        string.Join(", ", files.Take(5).Select(file => $"'{Path.GetRelativePath(folder, file)}'")) + (files.Count > 5 ? ", ..." : "");
}
