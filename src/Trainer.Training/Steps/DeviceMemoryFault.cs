using Trainer.Engine.Native;

namespace Trainer.Training.Steps;

/// <summary>The end of a device's memory, told with what was being done.</summary>
internal static class DeviceMemoryFault
{
    /// <summary>The fault as the user hears it.</summary>
    /// <param name="fault">What the device or libtorch said.</param>
    /// <param name="phase">What was being done, such as <c>in step 7 of 10</c>.</param>
    /// <param name="isSaved">Whether there is a checkpoint to go on from.</param>
    public static MemoryLimitException Of(Exception fault, string phase, bool isSaved) => new($"out of the device's memory {phase}: "
        + $"{DeviceMemoryException.Clause(fault)}; {(isSaved ? "the newest checkpoint is whole and resume goes on from it" : "no checkpoint was written yet")}"
        + ", with a smaller --batch-size or --max-seq-length, --stream on, or a 4-bit base");

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
        catch (Exception fault) when (DeviceMemoryException.Is(fault))
        {
            throw Of(fault, phase, isSaved);
        }
    }
}
