using System.Text.RegularExpressions;
using Trainer.Data.Reading;

namespace Trainer.Data.Sources;

/// <summary>
/// Tells the splits of a folder by names, as the datasets library does: <c>data/NAME-00000-of-00001</c> first, then folders called by a
/// split's word (train, validation, test and their kin, set off by one of <c>-._</c>, a blank, a digit or an end), then files, else all is training data.
/// </summary>
internal static partial class SplitNames
{
    public const string Train = "train", Validation = "validation", Evaluation = "evaluation", Test = "test";

    private static readonly Dictionary<string, string> Words = new(StringComparer.OrdinalIgnoreCase)
    {
        ["train"] = Train, ["training"] = Train,
        ["validation"] = Validation, ["valid"] = Validation, ["dev"] = Validation, ["val"] = Validation,
        // The library counts these as a test split; here they are held out where no validation split is there.
        ["eval"] = Evaluation, ["evaluation"] = Evaluation,
        ["test"] = Test, ["testing"] = Test,
    };

    /// <summary>A split's name in the library's words: <c>dev</c> is validation; others stay as they are.</summary>
    public static string Canonical(string name) => Words.GetValueOrDefault(name, name);

    /// <summary>Whether a split is one that training or evaluation asks for by itself.</summary>
    public static bool IsCommon(string split) => split is Train or Validation or Evaluation or Test;

    /// <summary>The files of each split, and those of none.</summary>
    /// <exception cref="DataException">A file belongs to two splits by its name, or a split is there twice.</exception>
    public static (Dictionary<string, List<string>> Splits, List<string> Others) Infer(IReadOnlyList<string> files, string folder)
    {
        var parts = files.Select(file => (File: file, Parts: Path.GetRelativePath(folder, file).Split('/', '\\'))).ToList();
        var sharded = Group(parts, each => each.Parts is ["data", var name] && Shard().Match(name) is { Success: true } match
            ? Canonical(match.Groups["split"].Value) : null);
        if (sharded.Splits.Count > 0) return sharded;
        var splits = Group(parts, each => Of(each.Parts.AsSpan(0, each.Parts.Length - 1), each, folder));
        // A file's own name may agree with its folder's or say nothing; where it says another, nobody knows which is meant.
        if (splits.Splits.Count > 0)
            foreach (var each in parts.Where(each => !splits.Others.Contains(each.File))) Of(each.Parts, each, folder);
        else splits = Group(parts, each => Of(each.Parts.AsSpan(^1..), each, folder));
        if (splits.Splits.Count == 0) return (new Dictionary<string, List<string>> { [Train] = [.. files] }, []);
        foreach (var (_, found) in splits.Splits)
            foreach (var twins in found.GroupBy(Stem, StringComparer.Ordinal).Where(group => group.Count() > 1))
                throw new DataException($"data folder '{folder}' has one split twice: {FolderFiles.Names([.. twins], folder)}; name the file itself");
        return splits;
    }

    private static (Dictionary<string, List<string>> Splits, List<string> Others) Group(List<(string File, string[] Parts)> files,
        Func<(string File, string[] Parts), string?> splitOf)
    {
        var splits = new Dictionary<string, List<string>>(StringComparer.Ordinal);
        var rest = new List<string>();
        foreach (var each in files)
        {
            if (splitOf(each) is not { } split) rest.Add(each.File);
            else if (splits.TryGetValue(split, out var list)) list.Add(each.File);
            else splits[split] = [each.File];
        }
        return (splits, rest);
    }

    private static string? Of(ReadOnlySpan<string> parts, (string File, string[] Parts) file, string folder)
    {
        string? split = null;
        foreach (var part in parts)
            foreach (var word in Separator().Split(part))
            {
                if (!Words.TryGetValue(word, out var found)) continue;
                if (split is not null && split != found)
                    throw new DataException($"data file '{Path.GetRelativePath(folder, file.File)}' in '{folder}' names two "
                        + $"splits, {split} and {found}: it could be trained on or held out; name the files themselves with --data and --eval-data, or rename "
                        + "it");
                split = found;
            }
        return split;
    }

    private static string Stem(string file)
    {
        var format = InputFile.FormatOf(file);
        return file[..file.LastIndexOf(format, StringComparison.OrdinalIgnoreCase)];
    }

    [GeneratedRegex("^(?<split>[A-Za-z0-9_.]+)-[0-9]{5}-of-[0-9]{5}[^.]*\\.")]
    private static partial Regex Shard();

    [GeneratedRegex("[-._ 0-9]+")]
    private static partial Regex Separator();
}
