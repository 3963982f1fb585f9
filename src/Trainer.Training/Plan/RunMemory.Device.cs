using Trainer.Engine;
using Trainer.Engine.Fast.Libtorch;
using Trainer.Engine.Passes;
using Trainer.Engine.Weights;
using Trainer.Models;
using Trainer.Models.Parts;

namespace Trainer.Training.Plan;

// What lies in the memory of a device that computes by libtorch's operations: the same drawings, and what its kernels keep there.
internal sealed partial class RunMemory
{
    // The two values of each packed byte.
    private const long DecodingTable = 256 * 2 * sizeof(float);

    // The reader's own, and the two that are copied from in turns.
    private const int HostRooms = 3;

    /// <summary>Bytes of a room that streamed layers take turns in.</summary>
    public long RoomBytes => OfLayers((rows, columns) => FrozenBytes.InRoom(Form, rows, columns, IsDoubleQuantized)).Max();

    /// <summary>What the smallest window of a base that is streamed to a device takes there.</summary>
    public long SmallestRooms => StreamWindow.Smallest(RoomBytes, Config.LayerCount);

    /// <summary>Frozen matrices that stay on the device: all, or of a streamed base a window.</summary>
    /// <param name="isStreamed">Whether layers take turns.</param>
    /// <param name="window">Bytes that layers and head may take; null is the least.</param>
    public long DeviceBaseBytes(bool isStreamed, long? window)
    {
        var table = Form == WeightForm.Nf4 ? DecodingTable : 0;
        var head = _adapter.Find(Decoder.Head)?.Weight is null ? FrozenBytes.OnDevice(StoredForm, Decoder.Head.Rows, Decoder.Head.Columns, false) : 0;
        if (!isStreamed) return table + head + Frozen.Sum(module => EachMatrix(module, (rows, columns)
            => FrozenBytes.OnDevice(Form, rows, columns, IsDoubleQuantized)));
        return table + StreamWindow.Of(window, RoomBytes, Config.LayerCount, head).Bytes(RoomBytes, Config.LayerCount, head)
            + OfLayers((rows, columns) => FrozenBytes.NestedOnDevice(Form, rows, columns, IsDoubleQuantized)).Sum();
    }

    /// <summary>Norms, biases and the like on the device.</summary>
    public long DeviceVectorBytes => VectorBytes;

    /// <summary>Host memory that layers pass through on their way to a device.</summary>
    public long PinnedBytes => HostRooms * RoomBytes;

    /// <summary>What libtorch's operations hold for a moment, at most.</summary>
    /// <param name="batch">The largest batch.</param>
    public long DeviceScratchBytes(BatchShape batch) => DeviceScratch.Bytes(Decoder, batch,
        _options.Compute == ComputeKind.BFloat16 || MayBeNarrow, Form, StoredForm, Math.Min(batch.LossRows, Layout(batch, PassMode.Losses) is { } layout
            ? layout.BytesOf(Engine.Fast.Layout.BufferUse.Loss) / sizeof(float) / Config.VocabularySize + 1 : batch.LossRows));

    // What is trained whole is not held frozen.
    private IEnumerable<ModuleBlueprint> Frozen => Decoder.Stored.Where(module => module.Kind is ModuleKind.Linear or ModuleKind.Experts
        && module.Role != ModuleRole.Head && _adapter.Find(module)?.Weight is null);

    private IEnumerable<long> OfLayers(Func<long, long, long> bytes) => Decoder.Stored
        .Where(module => module is { Layer: >= 0, Kind: ModuleKind.Linear or ModuleKind.Experts }).GroupBy(module => module.Layer)
        .Select(layer => layer.Sum(module => EachMatrix(module, bytes)));
}
