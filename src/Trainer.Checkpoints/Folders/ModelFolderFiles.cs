using Trainer.Checkpoints.Atomic;

namespace Trainer.Checkpoints.Folders;

/// <summary>The files of a model folder that are not weights.</summary>
public static class ModelFolderFiles
{
    /// <summary>The folder of a model's chat templates beside the default one, as transformers names it.</summary>
    public const string MoreTemplatesFolder = "additional_chat_templates";

    private static readonly string[] TokenizerNames =
    [
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model",
        "spiece.model",
    ];

    internal static readonly string[] TemplateNames = ["chat_template.jinja", "chat_template.json"];

    /// <summary>Copies the tokenizer and chat template files that exist.</summary>
    /// <param name="source">Where from; links are followed as for weights.</param>
    /// <param name="target">An existing folder.</param>
    /// <returns>The names copied.</returns>
    public static IReadOnlyList<string> CopyTokenizer(TextFolders source, string target)
    {
        ArgumentNullException.ThrowIfNull(source);
        var copied = Copy(source.Tokenizer, target, TokenizerNames);
        var templates = Copy(source.Template, target, TemplateNames);
        // A template that lies in another folder's tokenizer_config.json becomes a file, which goes before what the copied config says.
        if (templates.Count == 0 && source.Template != source.Tokenizer && TextFolders.TemplateOfConfig(source.Template) is string template)
        {
            File.WriteAllText(Path.Combine(target, TemplateNames[0]), template);
            templates.Add(TemplateNames[0]);
        }
        var more = Path.Combine(source.Template, MoreTemplatesFolder);
        if (Directory.Exists(more))
        {
            Directory.CreateDirectory(Path.Combine(target, MoreTemplatesFolder));
            IEnumerable<string> names = Directory.GetFiles(more, "*.jinja").Select(static path => Path.GetFileName(path)).Order(StringComparer.Ordinal);
            templates.AddRange(Copy(more, Path.Combine(target, MoreTemplatesFolder), names).Select(static name => $"{MoreTemplatesFolder}/{name}"));
        }
        return [.. copied, .. templates];
    }

    /// <summary>Copies tokenizer, chat template and generation_config.json; config.json is left to the caller, who may have to change it.</summary>
    /// <param name="model">The model folder.</param>
    /// <param name="target">An existing folder.</param>
    /// <param name="text">Where tokenizer and template come from; null takes the model's.</param>
    public static IReadOnlyList<string> CopyCompanions(string model, string target, TextFolders? text = null) =>
        [.. CopyTokenizer(text ?? TextFolders.Of(model, null), target), .. Copy(model, target, ["generation_config.json"])];

    /// <summary>Sorts tensor names as people count: layer 2 before layer 10.</summary>
    public static int CompareNames(string first, string second)
    {
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        string[] a = first.Split('.'), b = second.Split('.');
        for (var i = 0; i < Math.Min(a.Length, b.Length); i++)
        {
            var order = long.TryParse(a[i], out var x) && long.TryParse(b[i], out var y) ? x.CompareTo(y) : string.CompareOrdinal(a[i], b[i]);
            if (order != 0) return order;
        }
        return a.Length.CompareTo(b.Length);
    }

    private static List<string> Copy(string source, string target, IEnumerable<string> names)
    {
        var copied = new List<string>();
        foreach (var name in names.Where(name => File.Exists(Path.Combine(source, name))))
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
