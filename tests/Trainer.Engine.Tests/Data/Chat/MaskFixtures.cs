using System.IO.Compression;
using System.Text.Json;
using Trainer.Data;
using Trainer.Data.Chat;
using Trainer.Templates;

namespace Trainer.Engine.Tests.Data.Chat;

/// <summary>Templates, conversations and a short way to the trained pieces of text.</summary>
internal static class MaskFixtures
{
    public const string Today = "2024-07-26";

    public static string Repository { get; } = Find();

    public static string Templates => Path.Combine(Repository, "tests", "fixtures", "templates");

    public static string Shared => Path.Combine(Repository, "..", "shared", "golden", "tokenization");

    /// <summary>The fixtures' templates.</summary>
    public static IEnumerable<string> FixtureTemplates() => In(Templates, Path.Combine(Repository, "tests", "fixtures", "masks", "templates"));

    /// <summary>Every template at hand: the fixtures', those of the goldens where they lie beside the repository, and those of a folder named by
    /// TRAINER_TEMPLATES.</summary>
    public static IEnumerable<string> AllTemplates() =>
        FixtureTemplates().Concat(In(Path.Combine(Shared, "templates"), Environment.GetEnvironmentVariable("TRAINER_TEMPLATES") ?? ""))
        .DistinctBy(Path.GetFileName).Order(StringComparer.Ordinal);

    private static IEnumerable<string> In(params string[] folders)
        => folders.Where(Directory.Exists).SelectMany(folder => Directory.GetFiles(folder, "*.jinja")).Order(StringComparer.Ordinal);

    /// <summary>The end-of-text token that goes with a template.</summary>
    public static string EosOf(string source) => source.Contains("<|im_end|>", StringComparison.Ordinal) ? "<|im_end|>"
        : source.Contains("<｜User｜>", StringComparison.Ordinal) ? "<｜end▁of▁sentence｜>"
        : source.Contains("<|observation|>", StringComparison.Ordinal) ? "<|user|>" : "</s>";

    public static JsonElement Json(string text)
    {
        using var document = JsonDocument.Parse(text);
        return document.RootElement.Clone();
    }

    public static JsonElement Read(string file)
    {
        using Stream stream = file.EndsWith(".gz", StringComparison.Ordinal)
            ? new GZipStream(File.OpenRead(file), CompressionMode.Decompress) : File.OpenRead(file);
        using var document = JsonDocument.Parse(stream);
        return document.RootElement.Clone();
    }

    public static AssistantMaskBuilder Builder(string source, string? eos = "</s>", string bos = "<s>")
    {
        var folder = Directory.CreateTempSubdirectory("template-");
        try
        {
            File.WriteAllText(Path.Combine(folder.FullName, "chat_template.jinja"), source);
            File.WriteAllText(Path.Combine(folder.FullName, "tokenizer_config.json"),
                JsonSerializer.Serialize(eos is null ? new { bos_token = bos } : (object)new { bos_token = bos, eos_token = eos }));
            return new AssistantMaskBuilder(ChatTemplateSet.Load(folder.FullName)!,
                token => token.StartsWith("<|", StringComparison.Ordinal) || token is "</s>" or "<end_of_turn>" or "[/INST]",
                eos is null ? [] : [eos], DateTime.Parse(Today, System.Globalization.CultureInfo.InvariantCulture));
        }
        finally
        {
            folder.Delete(true);
        }
    }

    public static AssistantMaskBuilder FromFile(string name, string? eos = "</s>") => Builder(File.ReadAllText(Path.Combine(Templates, name + ".jinja")), eos);

    /// <summary>The trained pieces of text, and the way they were found in front.</summary>
    public static string[] Trained(AssistantMaskBuilder builder, string messages, TrainOn which = TrainOn.Assistant, int from = 0, string? tools = null)
    {
        var found = builder.Build(Json(messages), tools is null ? null : Json(tools), which, from);
        return [found.Method.ToString(), .. found.Spans.Select(span => found.Text[span.Start..span.End])];
    }

    public static int Offset(string text, int points)
    {
        var at = 0;
        for (; points > 0; points--) at += char.IsHighSurrogate(text[at]) ? 2 : 1;
        return at;
    }

    private static string Find()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder!.FullName, "Trainer.sln"))) folder = folder.Parent;
        return folder.FullName;
    }
}
