namespace Trainer.Checkpoints;

/// <summary>The files of a model folder that are not weights.</summary>
public static class ModelFolderFiles
{
    /// <summary>The folder of a model's chat templates beside the default one, as transformers names it.</summary>
    public const string MoreTemplatesFolder = "additional_chat_templates";

    private static readonly string[] TokenizerNames =
    [
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model", "spiece.model",
        "chat_template.jinja", "chat_template.json",
    ];

    /// <summary>Copies the tokenizer and chat template files that exist in a folder.</summary>
    /// <param name="source">A model folder; its links are followed as for weights.</param>
    /// <param name="target">An existing folder.</param>
    /// <returns>The names copied.</returns>
    public static IReadOnlyList<string> CopyTokenizer(string source, string target) => Copy(source, target, TokenizerNames);

    /// <summary>Copies tokenizer, chat template and generation_config.json; config.json is left to the caller, who may have to change it.</summary>
    public static IReadOnlyList<string> CopyCompanions(string source, string target) => Copy(source, target, [.. TokenizerNames, "generation_config.json"]);

    /// <summary>Sorts tensor names as people count: layer 2 before layer 10.</summary>
    public static int CompareNames(string first, string second)
    {
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        string[] a = first.Split('.'), b = second.Split('.');
        for (int i = 0; i < Math.Min(a.Length, b.Length); i++)
        {
            int order = long.TryParse(a[i], out long x) && long.TryParse(b[i], out long y) ? x.CompareTo(y) : string.CompareOrdinal(a[i], b[i]);
            if (order != 0)
            {
                return order;
            }
        }
        return a.Length.CompareTo(b.Length);
    }

    private static List<string> Copy(string source, string target, IEnumerable<string> names)
    {
        var copied = new List<string>();
        string more = Path.Combine(source, MoreTemplatesFolder);
        if (Directory.Exists(more))
        {
            string[] templates = [.. Directory.GetFiles(more, "*.jinja").Select(static path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];
            Directory.CreateDirectory(Path.Combine(target, MoreTemplatesFolder));
            copied.AddRange(CopyFiles(more, Path.Combine(target, MoreTemplatesFolder), templates).Select(static name => $"{MoreTemplatesFolder}/{name}"));
        }
        copied.AddRange(CopyFiles(source, target, names));
        return copied;
    }

    private static List<string> CopyFiles(string source, string target, IEnumerable<string> names)
    {
        var copied = new List<string>();
        foreach (string name in names.Where(name => File.Exists(Path.Combine(source, name))))
        {
            string from = FolderPath.Inside(source, name, "file"), to = Path.Combine(target, name);
            try
            {
                // Bytes and not File.Copy: that would copy the read-only mark of a cached blob too.
                File.WriteAllBytes(to, File.ReadAllBytes(from));
            }
            catch (Exception fault) when (WriteFault.Covers(fault))
            {
                throw WriteFault.Of(to, fault);
            }
            copied.Add(name);
        }
        return copied;
    }
}
