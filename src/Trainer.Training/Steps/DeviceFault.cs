using Trainer.Engine.Native;

namespace Trainer.Training.Steps;

/// <summary>A device that fails while it computes, or whose memory ends, told with what was being done.</summary>
internal static class DeviceFault
{
    /// <summary>Whether a fault is a device's.</summary>
    public static bool Is(Exception fault) => DeviceMemoryException.Is(fault) || DeviceException.Is(fault);

    /// <summary>The fault as the user hears it.</summary>
    /// <param name="fault">What the device or libtorch said.</param>
    /// <param name="phase">What was being done, such as <c>in step 7 of 10</c>.</param>
    /// <param name="isSaved">Whether there is a checkpoint to go on from.</param>
    public static Exception Of(Exception fault, string phase, bool isSaved)
    {
        var kept = isSaved ? "the newest checkpoint is whole and resume goes on from it" : "no checkpoint was written yet";
        return DeviceMemoryException.Is(fault)
            ? new MemoryLimitException($"out of the device's memory {phase}: {DeviceMemoryException.Clause(fault)}; {kept}, with a smaller --batch-size or "
                + "--max-seq-length, --stream on, or a 4-bit base")
            : new DeviceException($"the device failed {phase}: {DeviceException.Clause(fault)}; {kept}");
    }

    /// <summary>Does something before the first step.</summary>
    /// <param name="phase">What it is.</param>
    /// <param name="isSaved">Whether the run goes on from a checkpoint.</param>
    /// <param name="work">The work.</param>
    public static T In<T>(string phase, bool isSaved, Func<T> work)
    {
        try
        {
            return work();
        }
        catch (Exception fault) when (Is(fault))
        {
            throw Of(fault, phase, isSaved);
        }
    }
}
