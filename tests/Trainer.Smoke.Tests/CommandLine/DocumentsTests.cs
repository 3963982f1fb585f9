using System.Diagnostics;
using System.Text.RegularExpressions;

namespace Trainer.Smoke.Tests.CommandLine;

/// <summary>Every command that README and the documents print is run as printed, in a folder that has what they speak of.</summary>
[Trait("ring", "smoke")]
public sealed partial class DocumentsTests : IDisposable
{
    // What needs a run that stopped on a NaN, hours, or the network, and what ends only when it is told to (ServeTests run it).
    private static readonly string[] NotRun = ["trainer replay ", "trainer bench --shape ", "trainer download ", "trainer push ", "trainer serve "];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    [Trait("ring", "slow")]
    public void Every_printed_command_does_what_it_says()
    {
        Prepare();
        var commands = Commands();
        Assert.True(commands.Count > 30, string.Join('\n', commands));
        var faults = new List<string>();
        foreach (var command in commands.Where(command => !NotRun.Any(command.StartsWith)))
        {
            // `init` writes over nothing: what an `init` before it wrote goes first.
            if (command.StartsWith("trainer init", StringComparison.Ordinal)) File.Delete(Path.Combine(_folder.Path, "recipe.yaml"));
            var (exitCode, said) = Shell(AsRun(command));
            if (exitCode != 0) faults.Add($"{command}\n  exit code {exitCode}: {said}");
        }
        Assert.True(faults.Count == 0, string.Join('\n', faults));
    }

    /// <summary>The command lines of README and docs, in their order, each once; those in backquotes that are whole commands as well.</summary>
    private static List<string> Commands()
    {
        var documents = Directory.GetFiles(Path.Combine(TrainerProgram.Repository, "src", "Trainer.Cli", "docs")).Order(StringComparer.Ordinal)
            .Prepend(Path.Combine(TrainerProgram.Repository, "README.md"));
        return [.. documents.SelectMany(path => CommandLine().Matches(File.ReadAllText(path)).Select(match => match.Groups[1].Value.Trim()))
            .Where(command => !command.Contains('[')).Distinct()];
    }

    [GeneratedRegex("^ *(?:\\$ )?(trainer [a-z].*)$", RegexOptions.Multiline)]
    private static partial Regex CommandLine();

    /// <summary>As printed, with placeholders filled in; a training of more than a few steps is checked to the last and not made.</summary>
    private static string AsRun(string command)
    {
        var run = command.Replace("MODEL", "tiny", StringComparison.Ordinal).Replace("DIR", "tiny-model", StringComparison.Ordinal).Split(" | ")[0];
        // A fresh run is not made where one lies already.
        if (!run.Contains("--resume", StringComparison.Ordinal))
            run = run.Replace("--output-dir runs/first", "--output-dir runs/fresh", StringComparison.Ordinal);
        return run.StartsWith("trainer train ", StringComparison.Ordinal) && !run.Contains("--dry-run", StringComparison.Ordinal) ? run + " --dry-run" : run;
    }

    private void Prepare()
    {
        var tiny = Path.Combine(Path.GetDirectoryName(TrainerProgram.FilePath)!, "configs", "tiny-model");
        foreach (var place in new[] { "tiny-model", "Llama-3.2-1B-Instruct" }) TemporaryFolder.Copy(tiny, Path.Combine(_folder.Path, place));
        foreach (var hub in new[] { "NousResearch/Hermes-3-Llama-3.1-70B", "NousResearch/Hermes-3-Llama-3.1-8B", "meta-llama/Llama-3.2-1B" })
        {
            var cached = Path.Combine(_folder.Path, "hub", $"models--{hub.Replace("/", "--", StringComparison.Ordinal)}");
            TemporaryFolder.Copy(tiny, Path.Combine(cached, "snapshots", "0123456789abcdef0123456789abcdef01234567"));
            _folder.File(Path.GetRelativePath(_folder.Path, Path.Combine(cached, "refs", "main")), "0123456789abcdef0123456789abcdef01234567");
        }
        TemporaryFolder.Copy(Path.Combine(TrainerProgram.Repository, "configs"), Path.Combine(_folder.Path, "configs"));
        var chat = "{\"messages\": [{\"role\": \"user\", \"content\": \"Where is the key?\"}, {\"role\": \"assistant\", \"content\": \"In the harbour.\"}]}\n";
        foreach (var name in new[] { "chats.jsonl", "rows.jsonl", "held-out.jsonl", "data/train.jsonl", "data/valid.jsonl" })
            _folder.File(name, string.Concat(Enumerable.Repeat(chat, 4)));
        _folder.File("run.yaml", "model: tiny\ndata: chats.jsonl\ngradient_accumulation_steps: 8\n");
        _folder.File("strings.jsonl", "\"Hello world\"\n");
        _folder.File("axolotl.yaml", "base_model: tiny\ndatasets:\n  - path: chats.jsonl\nadapter: lora\nlora_r: 8\nlora_alpha: 16\nsequence_len: "
            + "64\nmicro_batch_size: 1\nnum_epochs: 1\nlearning_rate: 0.0002\noutput_dir: runs/imported\n");
        _folder.File("bin/trainer", $"#!/bin/sh\nexec dotnet '{TrainerProgram.FilePath}' \"$@\"\n");
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(Path.Combine(_folder.Path, "bin", "trainer"), UnixFileMode.UserRead | UnixFileMode.UserExecute);
        foreach (var run in new[] { "runs/a", "runs/b", "runs/first" })
        {
            var made = Shell($"trainer train --model tiny --data demo --max-steps 100 --batch-size 1 --gradient-accumulation-steps 1 --output-dir {run}");
            Assert.True(made.ExitCode == 0, made.Said);
        }
        TemporaryFolder.Copy(Path.Combine(_folder.Path, "runs", "a"), Path.Combine(_folder.Path, "experiments", "a"));
        Assert.Equal(0, Shell("trainer merge --model tiny --adapter runs/a --output models/merged --no-check").ExitCode);
    }

    private (int ExitCode, string Said) Shell(string command)
    {
        var start = new ProcessStartInfo("/bin/sh",
            ["-c", command]) { WorkingDirectory = _folder.Path, RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        start.Environment["PATH"] = $"{Path.Combine(_folder.Path, "bin")}:{start.Environment["PATH"]}";
        start.Environment["HF_HUB_CACHE"] = Path.Combine(_folder.Path, "hub");
        start.Environment["HF_HUB_OFFLINE"] = "1";
        start.Environment["TRAINER_CACHE"] = Path.Combine(_folder.Path, "cache");
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync();
        var reading = process.StandardError.ReadToEndAsync();
        process.End();
        var error = reading.Result;
        return (process.ExitCode, error.Length > 2000 ? error[^2000..] : error);
    }
}
