using Trainer.Engine.Weights;

namespace Trainer.Engine.Fast.Operations;

/// <summary>Memory of a device that the layers of a streamed base take turns in, and the way there. Copies have a queue of their own beside the operations';
/// only what is said here orders one after the other.</summary>
internal interface ILayerRooms
{
    /// <summary>Memory of the host that copies may be made from while the host goes on.</summary>
    NativeBlock Pin(long bytes);

    /// <summary>Gives it back.</summary>
    void Unpin(NativeBlock block);

    /// <summary>A room on the device, not cleared. The caller disposes of it.</summary>
    DeviceMemory Room(long bytes);

    /// <summary>Queues a copy of the first bytes; asked for by the thread that reads. Until the event the source must stay as it is.</summary>
    /// <returns>The end of the copy; null where it is done already.</returns>
    IDeviceEvent? Send(NativeBlock source, DeviceMemory room, long bytes);

    /// <summary>Operations that are queued from now on begin after a copy.</summary>
    void After(IDeviceEvent? copy);

    /// <summary>Operations that are queued from now on use a matrix from a room.</summary>
    /// <param name="weight">The matrix.</param>
    /// <param name="room">The room.</param>
    /// <param name="parts">Byte at which each of its parts begins, see <see cref="IStreamedWeight.MappedParts"/>.</param>
    void Place(IFrozenWeight weight, DeviceMemory room, IReadOnlyList<long> parts);

    /// <summary>The matrix leaves its room.</summary>
    void Lift(IFrozenWeight weight);

    /// <summary>A matrix stays on the device from its next use on.</summary>
    void Keep(IFrozenWeight weight);
}
