using System.Text.Json;
using Trainer.Checkpoints.Atomic;
using Trainer.Cli.CommandLine;

namespace Trainer.Cli.Generating;

/// <summary>A file of prompts: a line each as it stands, or, in a file of JSON lines, a JSON string or an object with a prompt.</summary>
internal static class PromptFile
{
    public static IReadOnlyList<string> Read(string path)
    {
        var isJson = Path.GetExtension(path) is ".jsonl" or ".ndjson";
        var prompts = new List<string>();
        var number = 0;
        foreach (var line in SmallFile.Lines(path))
        {
            number++;
            if (line.Trim().Length > 0) prompts.Add(isJson ? Parse(line, path, number) : line);
        }
        return prompts.Count > 0 ? prompts : throw new CommandFailedException(ExitCode.BadData, $"no prompt ({path}): the file is empty; write one a line");
    }

    private static string Parse(string line, string path, int number)
    {
        const string advice = "write each as \"...\" or {\"prompt\": \"...\"} on a line of its own";
        try
        {
            using var document = JsonDocument.Parse(line);
            var value = document.RootElement;
            if (value.ValueKind == JsonValueKind.Object && value.TryGetProperty("prompt", out var inner)) value = inner;
            if (value.ValueKind == JsonValueKind.String) return value.GetString()!;
            throw new CommandFailedException(ExitCode.BadData,
                $"no prompt ({path}:{number}): the line is neither a JSON string nor an object with one; {advice}");
        }
        catch (JsonException fault)
        {
            throw new CommandFailedException(ExitCode.BadData, $"no prompt ({path}:{number}): {fault.Message.Split(". ")[0].TrimEnd('.')}; {advice}");
        }
    }
}
