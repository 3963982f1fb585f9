using System.Diagnostics;
using System.Security.Cryptography;
using Trainer.Numerics;

/// <summary>
/// Entry of the kernel tests' child processes: the runtime calls it before Main where DOTNET_STARTUP_HOOKS names this assembly.
/// Switches such as DOTNET_EnableAVX2=0 are read once at start, so narrower paths need a process of their own.
/// </summary>
internal static class StartupHook
{
    internal const string Switch = "TRAINER_KERNEL_CHILD";

    public static void Initialize()
    {
        if (Environment.GetEnvironmentVariable(Switch) != "1") return;
        Console.WriteLine(Trainer.Ground.Tests.Numerics.KernelChild.Report());
        Environment.Exit(0);
    }
}

namespace Trainer.Ground.Tests.Numerics
{
    internal static class KernelChild
    {
        /// <summary>Width in use, whether one was rejected, and a hash over what every kernel gives.</summary>
        internal static string Report()
            => $"{Kernels.Width} {Kernels.Rejected.Count} "
                + $"{Convert.ToHexString(SHA256.HashData([.. SelfCheck.Run(Kernels.Width), .. ElementwiseRun.Bytes(Kernels.Width)]))}";

        internal static string Start(string? variable)
        {
            var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true, RedirectStandardError = true };
            var self = typeof(KernelChild).Assembly.Location;
            if (Path.GetFileNameWithoutExtension(start.FileName) != "dotnet") start.FileName = "dotnet";
            start.ArgumentList.Add("exec");
            start.ArgumentList.Add(self);
            start.Environment["DOTNET_STARTUP_HOOKS"] = self;
            start.Environment[StartupHook.Switch] = "1";
            if (variable is not null) start.Environment[variable] = "0";
            using var process = Process.Start(start)!;
            var output = process.StandardOutput.ReadToEnd();
            var errors = process.StandardError.ReadToEnd();
            process.WaitForExit();
            return process.ExitCode == 0 ? output.Trim() : $"exit {process.ExitCode}: {errors}";
        }
    }
}
