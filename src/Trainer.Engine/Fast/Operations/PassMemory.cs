using Trainer.Engine.Fast.Layout;
using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Operations;

/// <summary>The memory of a pass: a layout over a block.</summary>
/// <param name="Layout">The buffers.</param>
/// <param name="Block">The block.</param>
internal readonly record struct PassMemory(PassLayout Layout, DeviceMemory Block)
{
    /// <summary>The block of the batch's own buffers, where they lie apart.</summary>
    public DeviceMemory? Own { get; init; }

    /// <summary>The buffer of that name.</summary>
    /// <exception cref="InvalidOperationException">The layout has none.</exception>
    public Place At(ElementType type, BufferId id, int index = -1, ModuleRole? role = null)
        => Find(type, id, index, role) is { IsNone: false } place ? place : throw new InvalidOperationException($"the pass has no buffer {id} {index} {role}");

    /// <summary>The buffer of that name, float32.</summary>
    public Place Floats(BufferId id, int index = -1, ModuleRole? role = null) => At(ElementType.Float32, id, index, role);

    /// <summary>The same, or none where the layout has none.</summary>
    public Place FloatsOrNone(BufferId id, int index = -1, ModuleRole? role = null, string? part = null) => Find(ElementType.Float32, id, index, role, part);

    private Place Find(ElementType type, BufferId id, int index, ModuleRole? role, string? part = null)
    {
        var key = new BufferKey(id, index, role, part);
        if (Layout.OffsetOf(key) is not { } offset) return default;
        return new Place(Layout.IsApart && PassLayout.IsOwn(key) ? Own! : Block, offset / Place.SizeOf(type), type);
    }
}
