using System.Runtime.InteropServices;

namespace Trainer.Cli.Machine;

/// <summary>
/// Limits of this process (<c>ulimit</c>) under which the runtime could not go on: looked at before anything else. Where they bite, hardly an
/// assembly can be loaded any more, so this needs the core library and the C library alone.
/// </summary>
internal static partial class ProcessLimits
{
    // The runtime keeps two handles of each assembly: a run of training has about 130 open.
    private const ulong LeastFiles = 256;

    // The runtime keeps compiled code in a file of its own in memory, and to `ulimit -f` that is a file like others.
    private const ulong LeastFileBytes = 256UL << 20;

    private const string WriteXorExecute = "DOTNET_EnableWriteXorExecute";

    /// <summary>Says what is too small and gives the exit code; null where the program can go on.</summary>
    public static int? Refusal()
    {
        if (!OperatingSystem.IsLinux()) return null;
        if (Limit(Resource.OpenFiles) < LeastFiles)
        {
            Say("error: this system lets a process open fewer than 256 files at once, and the program with its libraries needs that many; raise the limit "
                + "with 'ulimit -n 1024'\n");
            return ExitCode.Missing;
        }
        if (Limit(Resource.FileBytes) < LeastFileBytes && Environment.GetEnvironmentVariable(WriteXorExecute) is null) StartAgainWithoutCodeFile();
        return null;
    }

    /// <summary>The same command in the same process with compiled code outside files; comes back only where that fails.</summary>
    private static unsafe void StartAgainWithoutCodeFile()
    {
        var words = File.ReadAllBytes("/proc/self/cmdline");
        _ = SetVariable(WriteXorExecute, "0", 1);
        fixed (byte* first = words)
        {
            var pointers = stackalloc byte*[4096];
            var count = 0;
            for (var i = 0; i < words.Length && count < 4095; i++)
            {
                pointers[count++] = first + i;
                while (i < words.Length && words[i] != 0) i++;
            }
            pointers[count] = null;
            _ = Execute("/proc/self/exe", pointers);
        }
    }

    private static unsafe ulong Limit(Resource which)
    {
        var pair = stackalloc ulong[2];
        return GetLimit((int)which, pair) == 0 ? pair[0] : ulong.MaxValue;
    }

    private static unsafe void Say(string ascii)
    {
        var bytes = stackalloc byte[ascii.Length];
        for (var i = 0; i < ascii.Length; i++) bytes[i] = (byte)ascii[i];
        _ = Write(2, bytes, ascii.Length);
    }

    // The numbers that Linux gives them.
    private enum Resource
    {
        FileBytes = 1,
        OpenFiles = 7,
    }

    [LibraryImport("libc", EntryPoint = "getrlimit")]
    private static unsafe partial int GetLimit(int which, ulong* pair);

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetVariable(string name, string value, int overwrite);

    [LibraryImport("libc", EntryPoint = "execv", StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial int Execute(string path, byte** words);

    [LibraryImport("libc", EntryPoint = "write")]
    private static unsafe partial nint Write(int file, byte* bytes, nint count);
}
