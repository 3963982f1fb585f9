using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Atomic;
using Trainer.Engine;
using Trainer.Engine.Native;
using Trainer.Training.State;

namespace Trainer.Training.Proof;

/// <summary>Outcomes of proofs in the user's cache: a file for each device, driver, libtorch and build of the program.</summary>
public static class ProofRecords
{
    /// <summary>Options with the kernels of our own that a proof found right; without a proof none is used.</summary>
    /// <param name="options">How a model is loaded.</param>
    /// <param name="device">As the user names it.</param>
    public static ModelLoadOptions Settle(ModelLoadOptions options, string device)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.OwnKernels is not { Count: > 0 } own) return options;
        return options.Without(Find(device, own) is { Holds: true } known ? known.SwitchedOff : own);
    }

    /// <summary>The outcome that is kept of a device; null where there is none, or none that can be read.</summary>
    /// <param name="device">As the user names it.</param>
    /// <param name="own">Operations with kernels of our own.</param>
    /// <param name="cache">The folder of outcomes; null is the user's.</param>
    public static ProofOutcome? Find(string device, IReadOnlyList<string> own, string? cache = null)
    {
        var path = PathOf(device, own, cache);
        if (!File.Exists(path)) return null;
        try
        {
            return JsonSerializer.Deserialize<ProofOutcome>(SmallFile.Text(path), RunJson.Options) is { Rows: not null, SwitchedOff: not null } found
                ? found : null;
        }
        catch (Exception fault) when (RunJson.IsBadFile(fault))
        {
            // What cannot be read is proven anew.
            return null;
        }
    }

    /// <summary>Keeps an outcome, where the folder can be written.</summary>
    /// <param name="outcome">The outcome.</param>
    /// <param name="device">As the user names it.</param>
    /// <param name="own">Operations with kernels of our own.</param>
    /// <param name="cache">The folder of outcomes; null is the user's.</param>
    public static void Keep(ProofOutcome outcome, string device, IReadOnlyList<string> own, string? cache)
    {
        var path = PathOf(device, own, cache);
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            AtomicFile.WriteText(path, JsonSerializer.Serialize(outcome, RunJson.Options));
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or CannotWriteException)
        {
            // The next use proves it again.
        }
    }

    private static string PathOf(string device, IReadOnlyList<string> own, string? cache)
    {
        var key = $"{ComputeDevice.Identity(device)}\n{BuildName.Value}\n{string.Join(",", own)}";
        return Path.Combine(cache ?? Path.Combine(UserCache.Folder, "devices"), Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)))[..16]
            + ".json");
    }
}
