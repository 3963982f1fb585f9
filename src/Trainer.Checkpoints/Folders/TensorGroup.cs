using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Safetensors;

namespace Trainer.Checkpoints.Folders;

/// <summary>Tensors that are made together and lie in one shard, e.g. a quantized weight with its scales.</summary>
/// <param name="Name">Name for progress and faults, usually that of the weight.</param>
/// <param name="Tensors">The tensors; where <paramref name="IsExact"/> is false their sizes are estimates, for planning.</param>
/// <param name="IsExact">Whether the tensors will be exactly these.</param>
public sealed record TensorGroup(string Name, IReadOnlyList<TensorDeclaration> Tensors, bool IsExact = true)
{
    /// <summary>Bytes of the group, estimated where it is not exact.</summary>
    public long ByteCount => Tensors.Sum(static tensor => tensor.ByteCount);
}
