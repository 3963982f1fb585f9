using System.Collections.Concurrent;
using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;
using Trainer.Smoke.Tests.Faults;

namespace Trainer.Smoke.Tests;

/// <summary>The built program, run as a process.</summary>
internal static class TrainerProgram
{
    private static readonly string Host = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", "dotnet"));

    private static readonly TemporaryFolder Cache = new();

    // Classes of tests run beside each other, each in front of a process of its own.
    private static readonly ConcurrentBag<ProgramBatch> Warm = [];

    static TrainerProgram() => AppDomain.CurrentDomain.ProcessExit += (_, _) =>
    {
        foreach (var batch in Warm) batch.Dispose();
        Cache.Dispose();
    };

    public static string FilePath { get; } = typeof(TrainerProgram).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
        .Single(pair => pair.Key == "Program").Value!;

    public static string Repository { get; } = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(FilePath)!, "..", "..", "..", "..", "..", ".."));

    public static ProgramResult Run(params string[] words) => Run(new ProgramRun(words));

    public static ProgramResult Run(ProgramRun run)
    {
        using var process = Start(run);
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        if (run.Input is not null) process.StandardInput.Write(run.Input);
        process.StandardInput.Close();
        if (!process.WaitForExit(TimeSpan.FromSeconds(run.LimitSeconds)))
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"'trainer {string.Join(' ', run.Words)}' did not end within {run.LimitSeconds} s\n{error.Result}");
        }
        return new ProgramResult(process.ExitCode, output.Result, error.Result);
    }

    /// <summary>
    /// The same in a process that has run other commands before: a start and a compilation less each, which is most of what a command on the embedded model
    /// takes. For all that no terminal, no input, no signal and no limit of the process comes into; that the program does the same when it is started afresh
    /// is seen by the classes that start it.
    /// </summary>
    public static ProgramResult RunWarm(ProgramRun run)
    {
        if (!OperatingSystem.IsLinux() || run.Input is not null || run.Limit is not null || run.Program is not null) return Run(run);
        var batch = Warm.TryTake(out var free) ? free : new ProgramBatch(run.LimitSeconds);
        try
        {
            var (result, _) = batch.Run(run.Directory ?? Repository, run.Words, run.Environment ?? new Dictionary<string, string>());
            return result;
        }
        finally
        {
            Warm.Add(batch);
        }
    }

    /// <summary>As the other, in the repository.</summary>
    public static ProgramResult RunWarm(params string[] words) => RunWarm(new ProgramRun(words));

    public static Process Start(ProgramRun run)
    {
        var start = new ProcessStartInfo(run.Limit is null
            ? Host : "/bin/sh") { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true,
                WorkingDirectory = run.Directory ?? Repository };
        if (run.Limit is { } limit)
        {
            foreach (var word in new[] { "-c", $"{limit}; exec \"$0\" \"$@\"", Host }) start.ArgumentList.Add(word);
        }
        start.ArgumentList.Add(run.Program ?? FilePath);
        foreach (var word in run.Words) start.ArgumentList.Add(word);
        start.Environment["OMP_NUM_THREADS"] = "1";
        // The test runner's own CI, colours and width must not leak into what is tested.
        foreach (var name in new[] { "CI", "NO_COLOR", "COLUMNS", "HF_HOME", "HF_HUB_CACHE", "HF_TOKEN" }) start.Environment.Remove(name);
        // Nor do tests fill the cache of whoever runs them.
        start.Environment["TRAINER_CACHE"] = Cache.Path;
        foreach (var (name, value) in run.Environment ?? new Dictionary<string, string>()) start.Environment[name] = value;
        return Process.Start(start)!;
    }
}
