using System.Text.Json;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Runs;

namespace Trainer.Cli.Reports;

/// <summary>What has become of a run, read from its folder.</summary>
/// <param name="Folder">The run folder.</param>
/// <param name="State">running, done, stopped (it can be resumed), or begun (no checkpoint yet).</param>
/// <param name="Step">Last step that is known.</param>
/// <param name="MaxSteps">Steps asked for, 0 where unknown.</param>
/// <param name="Reason">Why it ended, or null.</param>
/// <param name="Command">The command line that began it, or null.</param>
internal sealed record RunStatus(string Folder, string State, int Step, int MaxSteps, string? Reason, string? Command)
{
    /// <summary>Whether a folder is that of a run.</summary>
    public static bool IsRun(string folder) => File.Exists(Path.Combine(folder, "run.json"));

    /// <summary>In a sentence, for the page and the list.</summary>
    public string Text => State switch
    {
        "done" => $"{Reason ?? "done"}, {Step} steps",
        "running" => MaxSteps > 0 ? $"running, {Step} of {MaxSteps} steps" : "running",
        "stopped" => $"stopped after step {Step}{(MaxSteps > 0 ? $" of {MaxSteps}" : "")}; 'trainer resume' goes on",
        _ => "begun, no checkpoint yet",
    };

    public static RunStatus Of(string folder)
    {
        var (step, maxSteps, reason, command) = (0, 0, (string?)null, (string?)null);
        try
        {
            RegularFile.RequireAll(folder);
            using var document = JsonDocument.Parse(SmallFile.Bytes(Path.Combine(folder, "run.json")));
            var root = document.RootElement;
            if (Object(root, "data") is { } data) maxSteps = Whole(data, "steps");
            if (Object(root, "options") is { } options && options.TryGetProperty("command", out var line)) command = line.GetString();
            if (Object(root, "outcome") is { } outcome)
                (step, reason) = (Whole(outcome, "steps"), outcome.TryGetProperty("reason", out var why) ? why.GetString() : "done");
        }
        catch (Exception fault) when (fault is JsonException or IOException or UnauthorizedAccessException or InvalidOperationException or BadFileException)
        {
            // What cannot be read is told as unknown; inspect says what is wrong with it.
        }
        var checkpoints = CheckpointFolder.List(folder);
        if (reason is null) step = Math.Max(LastRow(Path.Combine(folder, "metrics.jsonl")), checkpoints.Count > 0 ? (int)checkpoints[^1].Step : 0);
        var state = IsWritten(folder) ? "running" : reason is not null ? "done" : checkpoints.Count > 0 ? "stopped" : "begun";
        if (state == "stopped") step = (int)checkpoints[^1].Step;
        return new RunStatus(folder, state, step, maxSteps, state == "running" ? null : reason, command);
    }

    /// <summary>Whether a trainer holds the folder now: the lock is gone with its owner, whatever killed it.</summary>
    private static bool IsWritten(string folder)
    {
        if (RegularFile.IsOther(Path.Combine(folder, RunLock.FileName))) return false;
        try
        {
            using var held = new FileStream(Path.Combine(folder, RunLock.FileName), FileMode.Open, FileAccess.Read, FileShare.Read);
            return false;
        }
        catch (FileNotFoundException)
        {
            return false;
        }
        catch (IOException)
        {
            return true;
        }
        catch (UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static int LastRow(string metrics)
    {
        if (!File.Exists(metrics) || RegularFile.IsOther(metrics)) return 0;
        var last = 0;
        try
        {
            foreach (var line in SmallFile.Lines(metrics)) last = Math.Max(last, StepOf(line));
        }
        catch (BadFileException)
        {
            // As above.
        }
        return last;
    }

    private static int StepOf(string line)
    {
        try
        {
            using var row = JsonDocument.Parse(line);
            return Whole(row.RootElement, "step");
        }
        catch (JsonException)
        {
            // The last row of a killed run may be half of one.
            return 0;
        }
    }

    private static JsonElement? Object(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Object ? value : null;

    private static int Whole(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number
        && value.TryGetInt32(out var number) ? number : 0;
}
