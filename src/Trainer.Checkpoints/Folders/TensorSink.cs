using Trainer.Checkpoints.Safetensors;

namespace Trainer.Checkpoints.Folders;

/// <summary>Where the producer of a <see cref="TensorGroup"/> puts its tensors.</summary>
public abstract class TensorSink
{
    /// <summary>Appends bytes to a tensor of the group; a tensor may be given in any number of parts, all of its parts before the next tensor's.</summary>
    /// <param name="tensor">Name, type and shape.</param>
    /// <param name="bytes">The next bytes, little-endian, row-major.</param>
    public abstract void Write(TensorDeclaration tensor, ReadOnlySpan<byte> bytes);

    private protected TensorSink() { }
}
