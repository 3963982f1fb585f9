using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Loader;
using System.Text;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;

/// <summary>
/// Makes the built program run many commands in one process: the runtime calls this before Main where DOTNET_STARTUP_HOOKS names this assembly.
/// Thousands of small bad files are then a matter of minutes, and what ends one command badly is still seen: a crash ends the process.
/// </summary>
internal static class StartupHook
{
    internal const string Switch = "TRAINER_BATCH_CHILD";

    public static void Initialize()
    {
        if (Environment.GetEnvironmentVariable(Switch) != "1") return;
        Trainer.Smoke.Tests.Faults.BatchChild.Serve();
        Environment.Exit(0);
    }
}

namespace Trainer.Smoke.Tests.Faults
{
    /// <summary>A command line in a folder; what it prints goes to two files.</summary>
    internal sealed record BatchCase(string Directory, string[] Words, Dictionary<string, string> Environment, string Output, string Error);

    /// <summary>How it ended.</summary>
    internal sealed record BatchAnswer(int ExitCode, long PeakBytes);

    internal static partial class BatchChild
    {
        private const int WriteNew = 0x241, Rights = 0x1B4;

        internal static void Serve()
        {
            using var answers = new FileStream(new SafeFileHandle(Duplicate(1), ownsHandle: true), FileAccess.Write);
            using var cases = new StreamReader(new FileStream(new SafeFileHandle(Duplicate(0), ownsHandle: true), FileAccess.Read));
            _ = DuplicateTo(Open("/dev/null", 0, 0), 0);
            var program = AssemblyLoadContext.Default.LoadFromAssemblyPath(Path.Combine(AppContext.BaseDirectory, "trainer.dll"));
            var run = program.GetType("Trainer.Cli.Application")!.GetMethod("Run", BindingFlags.Public | BindingFlags.Static)!;
            while (cases.ReadLine() is { } line)
            {
                var answer = JsonSerializer.Serialize(Answer(JsonSerializer.Deserialize<BatchCase>(line)!, run));
                answers.Write(Encoding.UTF8.GetBytes(answer + "\n"));
                answers.Flush();
            }
        }

        private static BatchAnswer Answer(BatchCase one, MethodInfo run)
        {
            GC.Collect();
            File.WriteAllText("/proc/self/clear_refs", "5");
            Environment.CurrentDirectory = one.Directory;
            Redirect(one.Output, 1);
            Redirect(one.Error, 2);
            var before = one.Environment.Keys.ToDictionary(name => name, Environment.GetEnvironmentVariable);
            foreach (var (name, value) in one.Environment) Environment.SetEnvironmentVariable(name, value);
            var code = (int)run.Invoke(null, [one.Words])!;
            foreach (var (name, value) in before) Environment.SetEnvironmentVariable(name, value);
            var peak = File.ReadLines("/proc/self/status").First(line => line.StartsWith("VmHWM:", StringComparison.Ordinal));
            return new BatchAnswer(code, 1024 * long.Parse(peak.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture));
        }

        private static void Redirect(string path, int descriptor)
        {
            var file = Open(path, WriteNew, Rights);
            _ = DuplicateTo(file, descriptor);
            _ = Close(file);
        }

        [LibraryImport("libc", EntryPoint = "dup")]
        private static partial int Duplicate(int descriptor);

        [LibraryImport("libc", EntryPoint = "dup2")]
        private static partial int DuplicateTo(int from, int to);

        [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
        private static partial int Open(string path, int flags, int rights);

        [LibraryImport("libc", EntryPoint = "close")]
        private static partial int Close(int descriptor);
    }

    /// <summary>The other side: hands commands to such a process, and starts another where one has ended or is tired.</summary>
    internal sealed class ProgramBatch(int limitSeconds) : IDisposable
    {
        private const int CasesOfAProcess = 250;

        // What one command has taken is not all given back, and would be laid to the next.
        private const long RestartAbove = 800L << 20;

        private readonly TemporaryFolder _folder = new();
        private Process? _process;
        private int _served;

        /// <summary>The result, and the most memory it held; a code of -1 is a hang, of -2 a process that ended.</summary>
        public (ProgramResult Result, long PeakBytes) Run(string directory, string[] words, IReadOnlyDictionary<string, string> environment)
        {
            if (_process is null || _served++ % CasesOfAProcess == 0) Restart();
            var one = new BatchCase(directory, words, new Dictionary<string, string>(environment), Path.Combine(_folder.Path, "out"),
                Path.Combine(_folder.Path, "error"));
            _process!.StandardInput.WriteLine(JsonSerializer.Serialize(one));
            _process.StandardInput.Flush();
            var answer = _process.StandardOutput.ReadLineAsync();
            if (!answer.Wait(TimeSpan.FromSeconds(limitSeconds))) return (Lost(one, -1), 0);
            if (answer.Result is not { } line) return (Lost(one, -2), 0);
            var told = JsonSerializer.Deserialize<BatchAnswer>(line)!;
            if (told.PeakBytes > RestartAbove) Stop();
            return (new ProgramResult(told.ExitCode, File.ReadAllText(one.Output), File.ReadAllText(one.Error)), told.PeakBytes);
        }

        public void Dispose()
        {
            Stop();
            _folder.Dispose();
        }

        private ProgramResult Lost(BatchCase one, int code)
        {
            var said = File.Exists(one.Error) ? File.ReadAllText(one.Error) : "";
            Stop(withChildren: true);
            return new ProgramResult(code, "", $"{(code == -1 ? $"no end within {limitSeconds} s" : "the process ended")}: {said}");
        }

        private void Restart()
        {
            Stop();
            var self = typeof(StartupHook).Assembly.Location;
            _process = TrainerProgram.Start(new ProgramRun
                { Environment = new Dictionary<string, string> { ["DOTNET_STARTUP_HOOKS"] = self, [StartupHook.Switch] = "1" } });
            _process.ErrorDataReceived += (_, _) => { };
            _process.BeginErrorReadLine();
        }

        // With its children a process is first halted and then killed: a test run that ends between the two, as its last moments are short, would leave
        // it halted for ever.
        private void Stop(bool withChildren = false)
        {
            if (_process is null) return;
            if (!_process.HasExited) _process.Kill(withChildren);
            _process.Dispose();
            _process = null;
        }
    }
}
