using Trainer.Engine;
using Trainer.Engine.Native;

namespace Trainer.Training.Proof;

/// <summary>Proves devices, each once.</summary>
public static class ProvenDevices
{
    /// <summary>Proves a device at its first use; later uses find the outcome.</summary>
    /// <param name="run">See <see cref="DeviceProof.Run"/>.</param>
    /// <param name="device">As the user names it; the processor needs no proof.</param>
    /// <param name="tell">Hears what is done and what is switched off.</param>
    /// <param name="stop">Ends it.</param>
    /// <param name="cache">The folder of outcomes; null is the user's.</param>
    /// <exception cref="DeviceException">What it computes is not what the processor computes.</exception>
    public static void Require(TrainingOptions run, string device, Action<string> tell, CancellationToken stop, string? cache = null)
    {
        ArgumentNullException.ThrowIfNull(run);
        ArgumentNullException.ThrowIfNull(tell);
        if (ComputeDevice.Identity(device) is not { } identity) return;
        var own = OwnOf(run, device);
        if (ProofRecords.Find(device, own, cache) is not { } outcome)
        {
            tell($"first use of {identity}: what it computes is compared with the processor");
            outcome = DeviceProof.Run(run, device, stop);
            ProofRecords.Keep(outcome, device, own, cache);
            if (outcome.Holds) tell($"it agrees: {outcome.Table}");
        }
        if (!outcome.Holds)
            throw new DeviceException($"--device {device}: what {identity} computes differs from the processor ({outcome.Table}); 'trainer selftest --device "
                + $"{device}' compares again; until then leave --device out");
        if (outcome.OffNote is { } off) tell(off);
    }

    /// <summary>Proves a device again and keeps the outcome.</summary>
    /// <param name="run">See <see cref="DeviceProof.Run"/>.</param>
    /// <param name="device">As the user names it.</param>
    /// <param name="stop">Ends it.</param>
    public static ProofOutcome Again(TrainingOptions run, string device, CancellationToken stop)
    {
        var outcome = DeviceProof.Run(run, device, stop);
        ProofRecords.Keep(outcome, device, OwnOf(run, device), null);
        return outcome;
    }

    private static IReadOnlyList<string> OwnOf(TrainingOptions run, string device)
    {
        var plain = new ModelLoadOptions().On(device);
        return (run.Loading?.Invoke(plain) ?? plain).OwnKernels;
    }
}
