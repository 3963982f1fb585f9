using System.Text;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Trainer.Data.Sources;

/// <summary>
/// The subsets and splits that a data set of the hub declares in the head of its README.md: <c>configs</c>, each with a name and its
/// <c>data_files</c> (a pattern, a list of patterns, or patterns by split), or its <c>data_dir</c> alone.
/// </summary>
internal sealed class DatasetCard
{
    private const int MostBytes = 1 << 20;
    private const int MostDepth = 64;

    private readonly List<(string Name, bool IsDefault, string Folder, List<(string Split, List<string> Patterns)> Splits)> _subsets = [];

    private DatasetCard() { }

    /// <summary>Names of the subsets.</summary>
    public IReadOnlyList<string> Subsets => [.. _subsets.Select(subset => subset.Name)];

    /// <summary>Reads the card of a folder, or answers null where it has none or declares no files.</summary>
    public static DatasetCard? Read(string folder)
    {
        if (Head(Path.Combine(folder, "README.md")) is not { } head || IsDeep(head)) return null;
        try
        {
            var stream = new YamlStream();
            stream.Load(new StringReader(head));
            if (stream.Documents.Count == 0 || stream.Documents[0].RootNode is not YamlMappingNode root
                || Member(root, "configs") is not YamlSequenceNode configs) return null;
            var card = new DatasetCard();
            foreach (var config in configs.OfType<YamlMappingNode>()) card.Add(config);
            return card._subsets.Exists(subset => subset.Splits.Count > 0 || subset.Folder.Length > 0) ? card : null;
        }
        catch (YamlException)
        {
            return null; // the files' own names tell the splits then
        }
    }

    /// <summary>The subset that is meant: the one named, else the one that is marked or called default, else the only one.</summary>
    /// <exception cref="DataException">There is no such subset, or several and none is the default.</exception>
    /// <param name="name">The subset that is asked for, or null.</param>
    /// <param name="hubName">What the data set is called on a hub, or null for a folder of the user's own.</param>
    /// <param name="folder">The folder.</param>
    public string Choose(string? name, string? hubName, string folder)
    {
        var source = hubName ?? folder;
        if (name is not null)
            return Subsets.Contains(name) ? name : throw new DataException($"data set '{source}' has no subset '{name}': it has {Listed()}; name one of them");
        if (_subsets.Count == 1) return _subsets[0].Name;
        var given = _subsets.FindAll(subset => subset.IsDefault);
        if (given.Count == 0) given = _subsets.FindAll(subset => subset.Name == "default");
        return given.Count == 1
            ? given[0].Name
            : throw new DataException($"data set '{source}' has several subsets and none is the default: {Listed()}; name one, such as "
                + $"--data {source}{(hubName is null ? ",subset=" : ":")}{_subsets[0].Name}");
    }

    /// <summary>The files of each split of a subset, by patterns over the folder's files or by the names of those in its <c>data_dir</c>; null where the
    /// subset declares neither.</summary>
    public Dictionary<string, List<string>>? Files(string subset, IReadOnlyList<string> files, string folder)
    {
        var (_, _, below, splits) = _subsets.Find(each => each.Name == subset);
        if (splits.Count == 0 && below.Length == 0) return null;
        // A folder alone: its files' names tell the splits.
        if (splits.Count == 0)
        {
            var own = files.Where(file => Path.GetRelativePath(folder, file).Replace('\\', '/').StartsWith(below, StringComparison.Ordinal));
            return SplitNames.Infer([.. own], Path.Combine(folder, below)).Splits;
        }
        var found = new Dictionary<string, List<string>>(StringComparer.Ordinal);
        foreach (var (split, patterns) in splits)
        {
            var list = files.Where(file => patterns.Exists(pattern => Glob.Matches(below + pattern, Path.GetRelativePath(folder, file).Replace('\\', '/'))))
                .ToList();
            if (list.Count > 0) found[SplitNames.Canonical(split)] = list;
        }
        return found;
    }

    /// <summary>The patterns of a subset's files, or null where it declares none.</summary>
    public IReadOnlyList<string>? Patterns(string subset)
    {
        var (_, _, below, splits) = _subsets.Find(each => each.Name == subset);
        if (splits.Count == 0) return below.Length == 0 ? null : [below + "**"];
        return [.. splits.SelectMany(split => split.Patterns).Select(pattern => below + pattern)];
    }

    private string Listed() => string.Join(", ", Subsets.Take(20).Select(name => $"'{name}'")) + (_subsets.Count > 20 ? ", ..." : "");

    private void Add(YamlMappingNode config)
    {
        var name = Word(Member(config, "config_name")) ?? "default";
        var folder = Word(Member(config, "data_dir")) is { Length: > 0 } given ? Trimmed(given).Trim('/') + "/" : "";
        var splits = new List<(string, List<string>)>();
        switch (Member(config, "data_files"))
        {
            case YamlMappingNode bySplit:
                foreach (var (split, paths) in bySplit.Children) splits.Add((Word(split) ?? "train", Words(paths)));
                break;
            case YamlSequenceNode list when list.Children.Any(child => child is YamlMappingNode):
                foreach (var entry in list.OfType<YamlMappingNode>()) splits.Add((Word(Member(entry, "split")) ?? "train", Words(Member(entry, "path"))));
                break;
            case { } paths:
                splits.Add(("train", Words(paths)));
                break;
        }
        _subsets.Add((name, Word(Member(config, "default")) is "true" or "True", folder, splits));
    }

    private static YamlNode? Member(YamlMappingNode node, string name) => node.Children.TryGetValue(new YamlScalarNode(name), out var value) ? value : null;

    private static string? Word(YamlNode? node) => (node as YamlScalarNode)?.Value;

    private static List<string> Words(YamlNode? node) => node switch
    {
        YamlScalarNode { Value: { Length: > 0 } word } => [Trimmed(word)],
        YamlSequenceNode list => [.. list.Children.Select(Word).OfType<string>().Select(Trimmed)],
        _ => [],
    };

    private static string Trimmed(string pattern) => pattern.StartsWith("./", StringComparison.Ordinal) ? pattern[2..] : pattern;

    /// <summary>The lines between the two marks at the top of a file.</summary>
    private static string? Head(string path)
    {
        try
        {
            if (!File.Exists(path)) return null;
            using var reader = new StreamReader(path, Encoding.UTF8);
            if (reader.ReadLine()?.TrimEnd() != "---") return null;
            var head = new StringBuilder();
            while (reader.ReadLine() is { } line)
            {
                if (line.TrimEnd() == "---") return head.ToString();
                if (head.Append(line).Append('\n').Length > MostBytes) return null;
            }
            return null;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Whether a text nests deeper than a card does: the library would run out of stack on it.</summary>
    private static bool IsDeep(string yaml)
    {
        var (flow, deepest) = (0, 0);
        foreach (var line in yaml.Split('\n'))
        {
            var indent = line.Length - line.TrimStart(' ', '-', '?').Length;
            deepest = Math.Max(deepest, indent / 2);
            foreach (var letter in line)
            {
                if (letter is '[' or '{') deepest = Math.Max(deepest, ++flow);
                else if (letter is ']' or '}' && flow > 0) flow--;
            }
        }
        return deepest > MostDepth;
    }
}
