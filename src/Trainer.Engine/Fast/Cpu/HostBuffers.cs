using Trainer.Engine.Fast.Layout;
using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Cpu;

/// <summary>The buffers of a pass as the processor's own code reads and writes them.</summary>
internal readonly unsafe struct HostBuffers(PassLayout layout, byte* block)
{
    /// <summary>The buffer of that name.</summary>
    /// <exception cref="InvalidOperationException">The layout has none.</exception>
    public T* At<T>(BufferId id, int index = -1, ModuleRole? role = null)
        where T : unmanaged
        => layout.OffsetOf(new BufferKey(id, index, role)) is { } offset
            ? (T*)(block + offset) : throw new InvalidOperationException($"the pass has no buffer {id} {index} {role}");

    /// <summary>The buffer of that name, float32.</summary>
    public float* Floats(BufferId id, int index = -1, ModuleRole? role = null) => At<float>(id, index, role);

    /// <summary>The same, or null where the layout has none.</summary>
    public float* FloatsOrNull(BufferId id, int index = -1, ModuleRole? role = null)
        => layout.OffsetOf(new BufferKey(id, index, role)) is { } offset ? (float*)(block + offset) : null;
}
