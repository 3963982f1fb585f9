using Trainer.Checkpoints.Safetensors;

namespace Trainer.Checkpoints.Gguf;

/// <summary>A tensor that will be written to a GGUF file.</summary>
/// <param name="Name">Name, at most 63 bytes.</param>
/// <param name="Type">Element type.</param>
/// <param name="Dimensions">Sides, innermost first.</param>
public sealed record GgufDeclaration(string Name, GgufTensorType Type, long[] Dimensions)
{
    /// <summary>Bytes it will take.</summary>
    public long ByteCount => Type.ByteCount(Dimensions)
        ?? throw new ArgumentException($"tensor '{Name}': {Type} [{string.Join(", ", Dimensions)}] is no size that a file can have");
}
