using System.IO.Compression;
using System.Text.Json;
using Trainer.Templates;

namespace Trainer.Ground.Tests.ChatTemplates;

/// <summary>Templates with what the reference renders of them.</summary>
internal static class TemplateFixtures
{
    public static readonly DateTime Today = new(2024, 7, 26);

    public static string Repository { get; } = FindRepository();

    public static string Own => Path.Combine(Repository, "tests", "fixtures", "templates");

    public static string Shared => Path.Combine(Repository, "..", "shared", "golden", "tokenization", "templates");

    public static JsonElement Json(string file)
    {
        using Stream stream = File.Exists(file) ? File.OpenRead(file) : new GZipStream(File.OpenRead(file + ".gz"), CompressionMode.Decompress);
        using var document = JsonDocument.Parse(stream);
        return document.RootElement.Clone();
    }

    /// <summary>Renders every case of a template and returns the ones that differ from the reference.</summary>
    public static List<string> Differences(string folder, string name)
    {
        var template = ChatTemplate.Parse(File.ReadAllText(Path.Combine(folder, name + ".jinja")), name);
        var expected = Json(Path.Combine(folder, name + ".expected.json"));
        var conversations = Json(Path.Combine(folder, "conversations.json"));
        var differences = new List<string>();
        foreach (var row in expected.GetProperty("cases").EnumerateArray())
        {
            var key = row.GetProperty("conv").GetString()!;
            var wanted = Wanted(row);
            var got = Render(template, conversations.GetProperty(key), expected.GetProperty("vars"), row.GetProperty("add_generation_prompt").GetBoolean());
            if (wanted != got) differences.Add($"{name}, {key}:\n  wanted {wanted}\n  got    {got}");
        }
        return differences;
    }

    private static string Wanted(JsonElement row)
    {
        if (row.TryGetProperty("error", out var error)) return error.GetString()!;
        var text = row.GetProperty("text").GetString()!;
        var spans = row.TryGetProperty("generation", out var list)
            ? list.EnumerateArray().Select(pair => $" {Offset(text, pair[0].GetInt32())}-{Offset(text, pair[1].GetInt32())}") : [];
        return text + "|" + string.Concat(spans);
    }

    private static string Render(ChatTemplate template, JsonElement conversation, JsonElement given, bool prompt)
    {
        var variables = given.EnumerateObject().Concat(conversation.EnumerateObject().Where(entry => entry.Name is not ("messages" or "tools")))
            .ToDictionary(entry => entry.Name, entry => entry.Value);
        try
        {
            var chat = template.Render(new TemplateInput
            {
                Messages = conversation.GetProperty("messages"),
                Tools = conversation.TryGetProperty("tools", out var tools) ? tools : null,
                AddGenerationPrompt = prompt,
                Variables = variables,
                Now = Today,
            });
            return chat.Text + "|" + string.Concat(chat.GenerationSpans.Select(span => $" {span.Start}-{span.End}"));
        }
        catch (TemplateException error)
        {
            return $"{error.Kind}: {error.Reason}";
        }
    }

    private static int Offset(string text, int points)
    {
        var at = 0;
        for (; points > 0; points--) at += char.IsHighSurrogate(text[at]) ? 2 : 1;
        return at;
    }

    private static string FindRepository()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder!.FullName, "Trainer.sln"))) folder = folder.Parent;
        return folder.FullName;
    }
}
