using System.Diagnostics;
using System.Security.Cryptography;
using Trainer.Ground.Tests.Hub;
using Xunit.Abstractions;

namespace Trainer.Smoke.Tests.Faults;

/// <summary>
/// kill -9 at random instants of the commands that write a model, an adapter or a file: the same command then succeeds, writes the bytes that an undisturbed
/// one writes, and leaves nothing beside them.
/// </summary>
[Trait("ring", "smoke")]
public sealed class WriterKillCampaign(ITestOutputHelper output) : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly Dictionary<string, string> _environment = [];

    private static string Model => FaultRun.Fixture("llama31");

    private static string Adapter => FaultRun.Fixture("lora", "llama31_base", "adapter_init");

    public void Dispose() => _folder.Dispose();

    [Fact]
    [Trait("ring", "slow")]
    public void A_command_killed_while_it_writes_is_typed_again_and_gives_the_same_bytes()
    {
        using var hub = new FakeHub { LargeFrom = 4000 };
        foreach (var file in Directory.GetFiles(Model)) hub.Files[Path.GetFileName(file)] = File.ReadAllBytes(file);
        (_environment["HF_ENDPOINT"], _environment["HF_HOME"]) = (hub.Endpoint, Path.Combine(_folder.Path, "work", "hub"));
        (string Name, string[] Words)[] commands =
        [
            ("quantize", ["quantize", "--model", Model, "--output", "out"]),
            ("merge", ["merge", "--model", Model, "--adapter", Adapter, "--output", "out", "--no-check"]),
            ("export of an adapter", ["export", "--model", Model, "--adapter", Adapter, "--output", "out.gguf"]),
            ("export as PEFT", ["export", "--model", Model, "--adapter", Adapter, "--format", "peft", "--output", "out"]),
            ("download", ["download", "org/model"]),
        ];
        var (kills, random) = (Math.Max(commands.Length,
            KillCampaign.Number("TRAINER_FAULT_KILLS", 12) / 3), new Random(KillCampaign.Number("TRAINER_FAULT_SEED", 1)));
        var wholes = new Dictionary<string, (double Seconds, string[] Written)>();
        var inWriting = 0;
        for (var done = 0; done < kills; done++)
        {
            var (name, words) = commands[done % commands.Length];
            var work = Fresh();
            if (!wholes.TryGetValue(name, out var whole))
            {
                var clock = Stopwatch.StartNew();
                var undisturbed = Run(words, work);
                Assert.True(undisturbed.ExitCode == 0, undisturbed.Error);
                wholes[name] = whole = (clock.Elapsed.TotalSeconds, Written(work));
                work = Fresh();
            }
            inWriting += Kill(words, work, whole.Seconds, random) ? 1 : 0;
            // A command that had ended before the kill reached it has written all, and is refused if asked once more.
            if (Written(work).SequenceEqual(whole.Written)) continue;
            var again = Run(words, work);
            Assert.True(again.ExitCode == 0, $"{name}, kill {done}: exit code {again.ExitCode}\n{again.Error}");
            Assert.Equal(whole.Written, Written(work));
        }
        output.WriteLine($"kills {kills}, {inWriting} of them while something half-written lay there");
    }

    private string Fresh()
    {
        var work = Path.Combine(_folder.Path, "work");
        if (Directory.Exists(work)) Directory.Delete(work, recursive: true);
        Directory.CreateDirectory(work);
        return work;
    }

    private ProgramResult Run(string[] words, string work) => TrainerProgram.Run(new ProgramRun(words) { Directory = work, Environment = _environment });

    /// <summary>Whether the process was ended in the middle of writing.</summary>
    private bool Kill(string[] words, string work, double seconds, Random random)
    {
        using var process = TrainerProgram.Start(new ProgramRun(words) { Directory = work, Environment = _environment });
        process.StandardInput.Close();
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        if (random.Next(3) == 0) process.WaitForExit(TimeSpan.FromSeconds(random.NextDouble() * seconds));
        else
        {
            while (!process.HasExited && !Directory.EnumerateFileSystemEntries(work).Any()) Thread.SpinWait(500);
            Thread.Sleep(random.Next(0, 12));
        }
        if (!process.HasExited) process.Kill();
        process.End();
        return process.ExitCode != 0 && Directory.EnumerateFileSystemEntries(work).Any();
    }

    /// <summary>Every file below a folder with its digest; a lock that says nothing is no leftover.</summary>
    private static string[] Written(string folder) =>
        [.. Directory.EnumerateFiles(folder, "*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = 0 })
            .Where(file => !file.Contains("/.locks/", StringComparison.Ordinal) && new FileInfo(file).LinkTarget is null)
            .Select(file => $"{Path.GetRelativePath(folder, file)} {Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(file)))}")
            .Order(StringComparer.Ordinal)];
}
