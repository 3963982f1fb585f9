using Trainer.Checkpoints.Gguf;

namespace Trainer.Checkpoints.Safetensors;

/// <summary>A tensor that will be written: name, element type and shape (outermost side first).</summary>
public sealed record TensorDeclaration(string Name, SafetensorsDtype Dtype, long[] Shape)
{
    /// <summary>Bytes it will take.</summary>
    public long ByteCount => Dtype.ByteCount(Shape)
        ?? throw new ArgumentException($"tensor '{Name}': {Dtype.Name()} [{string.Join(", ", Shape)}] is no size that a file can have");
}
