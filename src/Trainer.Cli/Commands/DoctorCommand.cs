using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text.Json;
using TorchSharp;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Machine;
using Trainer.Cli.Options;
using Trainer.Cli.Rendering;
using Trainer.Engine.Native;
using Trainer.Hub;
using Trainer.Numerics.Machine;
using Trainer.Training.Options;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer doctor</c>: what this machine can do, and the exact reason of what it cannot.</summary>
internal static class DoctorCommand
{
    public static readonly CommandSpec Spec = new("doctor", "What this machine can do, and the exact reason of what it cannot.", Run)
    {
        Group = "Machine",
        Description = "Exit code 69 if something that training needs is missing.",
        Settings = [CommonSettings.Libtorch, CommonSettings.Json],
        Examples = [("trainer doctor", "")],
    };

    private sealed record Finding(string Name, bool IsGood, string Text);

    private static int Run(Invocation invocation)
    {
        var findings = Findings().ToList();
        var output = invocation.Terminal.Out;
        if (invocation.Json)
            output.WriteLine(JsonSerializer.Serialize(new { ok = findings.All(finding => finding.IsGood),
                findings = findings.Select(finding => new { name = finding.Name, ok = finding.IsGood, text = finding.Text }) }, Json.Indented));
        else
            foreach (var finding in findings) output.WriteLine($"{(finding.IsGood ? "ok  " : "FAIL")} {finding.Name,-12} {finding.Text}");
        if (findings.All(finding => finding.IsGood)) return ExitCode.Done;
        output.Flush();
        return ExitCode.Missing;
    }

    private static IEnumerable<Finding> Findings()
    {
        yield return new("system", true,
            $"{RuntimeInformation.OSDescription}, {RuntimeInformation.ProcessArchitecture}, {RuntimeInformation.FrameworkDescription}");
        yield return new("processor", true,
            $"{MachineFacts.Processor}, {Processors()}, "
            + $"{(MachineFacts.InstructionSets.Count > 0 ? string.Join(" ", MachineFacts.InstructionSets) : "no wide instructions")}");
        var limit = MachineLimits.GroupLimitBytes is null ? "" : ", the limit of its control group";
        yield return new("memory", true,
            $"{Quantities.Bytes(MachineLimits.AvailableBytes)} free of {Quantities.Bytes(MachineLimits.MemoryBytes)}{limit}{Nodes()}");
        var fault = NativeLibraries.Fault();
        yield return new("libtorch", fault is null, fault ?? $"loads from {LibtorchFolder.Current}");
        if (fault is null) yield return Compute();
        yield return new("graphics", true, $"not used: {ComputeDevice.WhyNone()}");
        yield return new("embedded", Directory.Exists(Embedded.TinyModel) && Directory.Exists(Embedded.DemoData),
            Directory.Exists(Embedded.TinyModel) ? "the tiny model and its data are here" : $"no {Embedded.TinyModel}: the installation is incomplete");
        var hub = HubOptions.FromEnvironment();
        yield return new("cache", true,
            $"{hub.CacheFolder}, {new HubCache(hub.CacheFolder).Models().Count} models, {Quantities.Bytes(MachineFacts.FreeDisk(Existing(hub.CacheFolder)))}"
            + $" free{(hub.IsOffline ? ", offline" : "")}{(hub.Token is null ? "" : ", with a token")}");
        yield return Writable(Directory.GetCurrentDirectory());
    }

    private static string Processors() => ProcessorTopology.Here is not { } topology ? $"{MachineLimits.Processors} threads"
        : $"{MachineLimits.Processors} threads on {topology.Cores} {(topology.Cores == 1 ? "core" : "cores")}"
            + (topology.Processors > topology.Cores ? " (siblings share a core: one thread a core computes)" : "");

    // Where memory is near to some processors alone.
    private static string Nodes() => ProcessorTopology.Here is not { Nodes: { Count: > 1 } nodes } ? ""
        : $"; {nodes.Count} nodes: "
            + string.Join(", ", nodes.Select(node => $"{node.Number} with {node.Processors} threads and {Quantities.Bytes(node.Bytes)}"));

    /// <summary>In a method of its own: the runtime loads TorchSharp when it compiles the method that names it.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Finding Compute()
    {
        try
        {
            ComputeThreads.Use(null);
            using var one = torch.ones(2, 2);
            using var product = one.matmul(one);
            var right = product.sum().item<float>() == 8;
            return new("compute", right, right ? $"a matrix product is right, {torch.get_num_threads()} threads" : "2x2 ones times themselves do not sum to 8");
        }
        catch (Exception fault) when (fault is not OutOfMemoryException)
        {
            return new("compute", false, fault.Message.ReplaceLineEndings(" "));
        }
    }

    private static string Existing(string folder)
    {
        var at = Path.GetFullPath(folder);
        while (!Directory.Exists(at) && Path.GetDirectoryName(at) is { } above) at = above;
        return at;
    }

    private static Finding Writable(string folder)
    {
        try
        {
            var probe = Path.Combine(folder, $".trainer-probe-{Environment.ProcessId}");
            File.WriteAllText(probe, "");
            File.Delete(probe);
            return new("here", true, $"{folder} is writable, {Quantities.Bytes(MachineFacts.FreeDisk(folder))} free");
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return new("here", true, $"{folder} is not writable; give --output-dir");
        }
    }
}
