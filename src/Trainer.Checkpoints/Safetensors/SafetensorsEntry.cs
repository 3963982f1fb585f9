namespace Trainer.Checkpoints.Safetensors;

/// <summary>One tensor of a safetensors file: its name, element type, shape (outermost side first) and place.</summary>
/// <param name="Name">Name in the header.</param>
/// <param name="Dtype">Element type.</param>
/// <param name="Shape">Sides, outermost first; empty for a scalar.</param>
/// <param name="Begin">First byte, counted from the start of the file.</param>
/// <param name="End">One past the last byte, counted from the start of the file.</param>
public sealed record SafetensorsEntry(string Name, SafetensorsDtype Dtype, long[] Shape, long Begin, long End)
{
    /// <summary>Bytes of the tensor.</summary>
    public long ByteCount => End - Begin;

    /// <summary>Number of elements.</summary>
    public long ElementCount
    {
        get
        {
            long count = 1;
            foreach (var side in Shape) count *= side;
            return count;
        }
    }
}
