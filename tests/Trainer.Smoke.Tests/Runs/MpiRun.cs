using System.Diagnostics;

namespace Trainer.Smoke.Tests.Runs;

/// <summary>The program under a launcher of MPI, several ranks on this machine, one thread each.</summary>
internal static class MpiRun
{
    public const string OpenMpi = "mpirun.openmpi";
    public const string Mpich = "mpirun.mpich";

    private static readonly string Host = Path.GetFullPath(Path.Combine(System.Runtime.InteropServices.RuntimeEnvironment.GetRuntimeDirectory(), "..", "..",
        "..", "dotnet"));

    public static ProgramResult Run(string launcher, int ranks, string[] words, IReadOnlyDictionary<string, string>? environment = null)
        => Finish(Start(launcher, ranks, words, environment));

    /// <summary>As the other, where each rank first runs a line of shell that knows $rank and may change the words.</summary>
    public static ProgramResult RunEach(string launcher, int ranks, string[] words, string shell, IReadOnlyDictionary<string, string>? environment = null)
    {
        string[] start = ["bash", "-c", $"rank=${{OMPI_COMM_WORLD_RANK:-$PMI_RANK}}; {shell}; exec \"$@\"", "rank"];
        return Finish(Start(launcher, ranks, words, environment, start));
    }

    public static Process Start(string launcher, int ranks, string[] words, IReadOnlyDictionary<string, string>? environment = null, string[]? before = null)
    {
        Skip.If(Find(launcher) is null, $"{launcher} is not installed (apt-get install openmpi-bin mpich)");
        var start = new ProcessStartInfo(Find(launcher)!) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true,
            WorkingDirectory = TrainerProgram.Repository };
        string[] options = launcher == OpenMpi ? ["--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-np", $"{ranks}"] : ["-np", $"{ranks}"];
        foreach (var word in (string[])[.. options, .. before ?? [], Host, TrainerProgram.FilePath, .. words]) start.ArgumentList.Add(word);
        foreach (var (name, value) in environment ?? new Dictionary<string, string>()) start.Environment[name] = value;
        var process = Process.Start(start)!;
        process.StandardInput.Close();
        return process;
    }

    public static ProgramResult Finish(Process process, int limitSeconds = 180)
    {
        using (process)
        {
            var output = process.StandardOutput.ReadToEndAsync();
            var error = process.StandardError.ReadToEndAsync();
            if (!process.WaitForExit(TimeSpan.FromSeconds(limitSeconds)))
            {
                process.Kill(entireProcessTree: true);
                throw new TimeoutException($"the ranks did not end\n{error.Result}");
            }
            return new ProgramResult(process.ExitCode, output.Result, error.Result);
        }
    }

    private static string? Find(string name)
        => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);
}
