namespace Trainer.Checkpoints.Gguf;

/// <summary>One tensor of a GGUF file.</summary>
/// <param name="Name">Name, e.g. blk.0.attn_q.weight.</param>
/// <param name="Type">Element type.</param>
/// <param name="Dimensions">Sides, innermost first: [columns, rows].</param>
/// <param name="Begin">First byte, counted from the start of the file.</param>
/// <param name="End">One past the last byte.</param>
public sealed record GgufTensor(string Name, GgufTensorType Type, long[] Dimensions, long Begin, long End)
{
    /// <summary>Bytes of the tensor.</summary>
    public long ByteCount => End - Begin;
}
