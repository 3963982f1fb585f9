using Trainer.Cli.Options;
using Trainer.Cli.Rendering;
using Trainer.Engine.Native;
using Trainer.Training.Proof;

namespace Trainer.Cli.Machine;

/// <summary>At first use a device proves on the embedded model that it computes what the processor does.</summary>
internal static class FirstUse
{
    /// <exception cref="DeviceException">It does not.</exception>
    public static void Require(string device, Terminal terminal)
    {
        if (device is "auto" or "cpu") return;
        ProvenDevices.Require(SmallRun.Of(ModelReference.Find("tiny").ThrowIfAbsent(), "", 10), device,
            text => terminal.Error.WriteLine("note: " + text), CancellationToken.None);
    }
}
