using System.Runtime.InteropServices;
using Trainer.Engine.Native;

namespace Trainer.Cli.Machine;

/// <summary>
/// Whether libtorch can be loaded, and if not, the loader's own reason. TorchSharp's text names a missing package reference whatever went wrong
/// and searches folders of other platforms, so it is never shown.
/// </summary>
internal static class NativeLibraries
{
    // In the order of their dependence, so that the first failure is the cause and not a consequence.
    private static readonly string[] Names = OperatingSystem.IsWindows() ? ["c10.dll", "torch_cpu.dll", "torch.dll", "LibTorchSharp.dll"]
        : OperatingSystem.IsMacOS() ? ["libc10.dylib", "libtorch_cpu.dylib", "libtorch.dylib", "libLibTorchSharp.dylib"]
        : ["libc10.so", "libtorch_cpu.so", "libtorch.so", "libLibTorchSharp.so"];

    /// <summary>The loader's sentence, or null when everything loads.</summary>
    public static string? Fault()
    {
        if (Missing() is { } platform) return platform;
        foreach (var name in Names)
        {
            var folder = LibtorchFolder.IsPart(name) ? LibtorchFolder.Current : AppContext.BaseDirectory;
            var path = Path.Combine(folder, name);
            if (!File.Exists(path)) return $"{name} is missing from '{folder}': the installation is incomplete; install trainer again";
            try
            {
                NativeLibrary.Load(path);
            }
            catch (Exception fault) when (fault is DllNotFoundException or BadImageFormatException)
            {
                return $"{name} cannot be loaded: {Reason(fault.Message)}";
            }
        }
        return null;
    }

    /// <summary>The platforms that libtorch for processors is published for are few: where it is not, no new installation helps.</summary>
    private static string? Missing()
    {
        var isPublished = RuntimeInformation.ProcessArchitecture == (OperatingSystem.IsMacOS() ? Architecture.Arm64 : Architecture.X64);
        return isPublished ? null : $"there is no libtorch for {RuntimeInformation.RuntimeIdentifier}: trainer runs on Linux and Windows on x64, and on macOS "
            + "on Apple silicon";
    }

    /// <summary>The line of the system's loader inside .NET's paragraph, with what to do about it.</summary>
    private static string Reason(string message)
    {
        var lines = message.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        var reason = lines.Skip(1).FirstOrDefault(
            line => line.Contains("not found", StringComparison.Ordinal) || line.Contains("cannot open", StringComparison.Ordinal)
                || line.Contains("undefined", StringComparison.Ordinal)) ?? lines[^1];
        string[] hints =
        [
            reason.Contains("libgomp", StringComparison.Ordinal) ? "install OpenMP's runtime: apt-get install libgomp1, or dnf install libgomp" : "",
            reason.Contains("GLIBCXX", StringComparison.Ordinal) || reason.Contains("libstdc++", StringComparison.Ordinal)
                ? "install a newer C++ runtime (libstdc++6), or install trainer again so that its library is made to fit this one" : "",
            reason.Contains("GLIBC_", StringComparison.Ordinal) ? "this system's C library is too old: Debian 12, Ubuntu 22.04, RHEL 9 or newer is needed" : "",
            reason.Contains("static TLS", StringComparison.Ordinal) ? "start with LD_PRELOAD set to libgomp.so.1" : "",
        ];
        return reason + (hints.FirstOrDefault(hint => hint.Length > 0) is { } hint ? "; " + hint : "");
    }
}
