namespace Trainer.Checkpoints.Nf4;

/// <summary>One quantized weight as bytes, made by whoever has the kernels.</summary>
/// <param name="State">Shape, type, block sizes and offset.</param>
/// <param name="Packed">Two codes a byte, the first in the high half.</param>
/// <param name="Absmax">One fp32 scale a block, or one byte with double quantization.</param>
/// <param name="QuantMap">The 16 values of the codes, fp32.</param>
/// <param name="NestedAbsmax">One fp32 scale for each 256 scales; empty without double quantization.</param>
/// <param name="NestedQuantMap">The 256 values of the scale codes, fp32; empty without double quantization.</param>
public sealed record Nf4Bytes(Nf4QuantState State, ReadOnlyMemory<byte> Packed, ReadOnlyMemory<byte> Absmax, ReadOnlyMemory<byte> QuantMap,
    ReadOnlyMemory<byte> NestedAbsmax, ReadOnlyMemory<byte> NestedQuantMap);
