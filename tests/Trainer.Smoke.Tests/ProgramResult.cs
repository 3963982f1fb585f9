using System.Text.Json;

namespace Trainer.Smoke.Tests;

/// <summary>What the program said.</summary>
internal sealed record ProgramResult(int ExitCode, string Output, string Error)
{
    public JsonElement Json()
    {
        Assert.True(ExitCode == 0, $"exit code {ExitCode}\n{Error}");
        return JsonDocument.Parse(Output).RootElement;
    }

    /// <summary>The effective recipe of a dry run: printed first, whatever the checks behind it say of a model that is none.</summary>
    public JsonElement Recipe()
    {
        Assert.True(ExitCode != 2 && Output.Length > 0, $"exit code {ExitCode}\n{Error}");
        return JsonDocument.Parse(Output).RootElement;
    }

    /// <summary>The error lines without their prefix; fails where the exit code is another.</summary>
    public string[] Faults(int exitCode)
    {
        Assert.True(ExitCode == exitCode, $"exit code {ExitCode} instead of {exitCode}\n{Output}\n{Error}");
        return [.. Error.Split('\n').Where(line => line.StartsWith("error: ", StringComparison.Ordinal)).Select(line => line["error: ".Length..])];
    }
}
