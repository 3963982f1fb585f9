using Trainer.Checkpoints.Nf4;
using Trainer.Checkpoints.Safetensors;

namespace Trainer.Engine.Quantize;

/// <summary>A weight of a folder in codes.</summary>
/// <param name="Name">Name that the result has it under.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Dtype">The type of the folder's plain weights.</param>
/// <param name="Quantize">Makes its NF4 codes, with scales quantized too or not; null where it becomes plain numbers.</param>
internal sealed record CodedPart(string Name, long[] Shape, SafetensorsDtype Dtype, Func<bool, Nf4Bytes>? Quantize)
{
    /// <summary>Its elements.</summary>
    public long ElementCount => Shape.Aggregate(1L, (product, side) => product * side);
}
