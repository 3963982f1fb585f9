using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Trainer.Cli.Machine;

/// <summary>What this machine is, read from the system's own files.</summary>
internal static class MachineFacts
{
    public static string Processor => Line("/proc/cpuinfo", "model name")
        ?? Environment.GetEnvironmentVariable("PROCESSOR_IDENTIFIER") ?? RuntimeInformation.ProcessArchitecture.ToString();

    /// <summary>Instruction sets that change how fast training is.</summary>
    public static IReadOnlyList<string> InstructionSets
    {
        get
        {
            var flags = (Line("/proc/cpuinfo", "flags") ?? "").Split(' ').ToHashSet();
            return
            [
                .. Avx2.IsSupported ? new[] { "AVX2" } : [], .. Avx512F.IsSupported ? new[] { "AVX-512" } : [],
                .. flags.Contains("avx512_vnni") ? new[] { "VNNI" } : [],
                .. flags.Contains("avx512_bf16") ? new[] { "AVX512-BF16" } : [], .. flags.Contains("amx_bf16") ? new[] { "AMX-BF16" } : [],
                .. AdvSimd.IsSupported ? new[] { "NEON" } : [],
            ];
        }
    }

    public static long FreeDisk(string folder)
    {
        try
        {
            return new DriveInfo(Path.GetFullPath(folder)).AvailableFreeSpace;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return 0;
        }
    }

    private static string? Line(string file, string name) =>
        !File.Exists(file) ? null : File.ReadLines(file).FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal))?.Split(':', 2) is [_, var text]
        ? text.Trim() : null;
}
