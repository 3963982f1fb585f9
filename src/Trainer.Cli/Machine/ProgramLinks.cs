using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Trainer.Engine.Native;
using Trainer.Training;

namespace Trainer.Cli.Machine;

/// <summary>
/// The program without its libtorch, for runs with another: a folder of links to its files. .NET takes a library that lies beside the program before any
/// that is loaded already, and two of them in one process end it.
/// </summary>
internal static partial class ProgramLinks
{
    private static readonly string Name = typeof(ProgramLinks).Assembly.GetName().Name!;

    // The host finds all else from where these lie, so they are copies.
    private static readonly string[] Copied = [Name, Name + ".dll", Name + ".deps.json", Name + ".runtimeconfig.json"];

    /// <summary>Sees to it that this process computes with the libtorch that the command or <c>TRAINER_LIBTORCH</c> names, if one does. May start the program
    /// again in its place.</summary>
    /// <param name="named">What the command names, or null.</param>
    /// <exception cref="DeviceException">The folder cannot serve.</exception>
    public static void Enter(string? named)
    {
        LibtorchFolder.Named = named;
        if (LibtorchFolder.Asked is not { } folder) return;
        LibtorchFolder.Require(folder);
        if (LibtorchFolder.IsBesideProgram)
        {
            StartAgain(Links());
            throw new DeviceException($"{LibtorchFolder.Origin} '{folder}': the program could not be started again without its own libtorch; "
                + LibtorchFolder.WayOut);
        }
        LibtorchFolder.Load(folder);
    }

    // Made once for each build of the program, and whole or not at all.
    private static string Links()
    {
        var program = AppContext.BaseDirectory;
        var build = new FileInfo(Path.Combine(program, Name + ".dll"));
        var key = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{program} {build.Length} {build.LastWriteTimeUtc.Ticks}")));
        var links = Path.Combine(UserCache.Folder, "program-" + key[..16]);
        if (Directory.Exists(links)) return links;
        Directory.CreateDirectory(UserCache.Folder);
        var making = $"{links}.{Environment.ProcessId}";
        Directory.CreateDirectory(making);
        foreach (var entry in new DirectoryInfo(program).EnumerateFileSystemInfos())
        {
            var target = Path.Combine(making, entry.Name);
            if (LibtorchFolder.IsPart(entry.Name)) continue;
            if (Copied.Contains(entry.Name)) File.Copy(entry.FullName, target);
            else if (entry is DirectoryInfo) Directory.CreateSymbolicLink(target, entry.FullName);
            else File.CreateSymbolicLink(target, entry.FullName);
        }
        try
        {
            Directory.Move(making, links);
        }
        catch (IOException) when (Directory.Exists(links))
        {
            // Another process was first.
            Directory.Delete(making, recursive: true);
        }
        return links;
    }

    // The same command in the same process. It comes back only where that fails.
    private static unsafe void StartAgain(string links)
    {
        var words = Encoding.UTF8.GetString(File.ReadAllBytes("/proc/self/cmdline")).TrimEnd('\0').Split('\0');
        // Started by its own host, or by 'dotnet trainer.dll'.
        var program = Array.FindIndex(words, word => Path.GetFileName(word) == Name + ".dll");
        var host = program < 0 ? Path.Combine(links, Name) : "/proc/self/exe";
        words[Math.Max(0, program)] = program < 0 ? host : Path.Combine(links, Name + ".dll");
        var pointers = new IntPtr[words.Length + 1];
        for (var i = 0; i < words.Length; i++) pointers[i] = Marshal.StringToCoTaskMemUTF8(words[i]);
        fixed (IntPtr* first = pointers) _ = Execute(host, first);
        foreach (var pointer in pointers) Marshal.FreeCoTaskMem(pointer);
    }

    [LibraryImport("libc", EntryPoint = "execv", StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial int Execute(string path, IntPtr* words);
}
