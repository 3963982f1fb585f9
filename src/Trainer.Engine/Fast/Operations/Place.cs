namespace Trainer.Engine.Fast.Operations;

/// <summary>Where an operand of a kernel lies: a block, an offset and an element type. The default is no place at all.</summary>
/// <param name="Memory">The block.</param>
/// <param name="Offset">Elements from its start.</param>
/// <param name="Type">Type of the elements.</param>
internal readonly record struct Place(DeviceMemory Memory, long Offset, ElementType Type = ElementType.Float32)
{
    /// <summary>Whether there is no operand.</summary>
    public bool IsNone => Memory is null;

    /// <summary>The place a number of elements further on; none stays none.</summary>
    public static Place operator +(Place place, long elements) => place.IsNone ? place : place with { Offset = place.Offset + elements };

    /// <summary>Bytes of an element.</summary>
    public static int SizeOf(ElementType type) => type switch
    {
        ElementType.Float64 => sizeof(double),
        ElementType.Byte => sizeof(byte),
        _ => sizeof(float),
    };
}
