using Trainer.Engine.Native;
using Trainer.Engine.Passes;

namespace Trainer.Training.Plan;

/// <summary>What a run holds in the memory of the device that it computes on, part by part.</summary>
/// <param name="options">The run.</param>
/// <param name="memory">Its bytes.</param>
internal sealed class DevicePlan(TrainingOptions options, RunMemory memory)
{
    // Context, code and workspaces of CUDA and libtorch on a card: not measured here, taken from what others report.
    private const long DriverBytes = 640L << 20;

    /// <summary>Whether the run's device has memory of its own, or the processor stands in for one.</summary>
    public static bool Has(TrainingOptions options) => options.Device is not ("auto" or "cpu");

    /// <summary>Whether a part is the base.</summary>
    public static bool IsBase(MemoryPart part) => part.Name.StartsWith("base", StringComparison.Ordinal);

    /// <summary>The memory that it is held against: <c>--device-memory</c>, or what the device has; null where nobody tells.</summary>
    public static long? Limit(TrainingOptions options)
        => options.DeviceMemoryBytes ?? (Has(options) ? ComputeDevice.MemoryBytes(options.Device) : null);

    /// <summary>The parts.</summary>
    /// <param name="batch">The largest micro-batch.</param>
    /// <param name="buffers">Buffers of the largest pass.</param>
    /// <param name="optimizer">Bytes of the optimizer's state.</param>
    /// <param name="isStreamed">Whether layers take turns.</param>
    /// <param name="window">Bytes that streamed layers and head may take; null is the least.</param>
    public IEnumerable<MemoryPart> Parts(BatchShape batch, IReadOnlyList<MemoryPart> buffers, long optimizer, bool isStreamed, long? window)
    {
        if (options.Device.StartsWith("cuda", StringComparison.Ordinal)) yield return new("driver and libtorch (assumed)", DriverBytes);
        yield return new($"base ({memory.Kind.ToString().ToLowerInvariant()}{(isStreamed ? ", streamed" : "")})", memory.DeviceBaseBytes(isStreamed, window));
        yield return new("norms and biases", memory.DeviceVectorBytes);
        yield return new("adapter and gradients", 2 * memory.ParameterBytes);
        // Other optimizers step on the host.
        if (options.Optim == "adamw" && optimizer > 0) yield return new("optimizer", 2 * memory.ParameterBytes);
        foreach (var part in buffers) yield return part;
        yield return new("decoded weights and results (at most)", memory.DeviceScratchBytes(batch));
    }
}
