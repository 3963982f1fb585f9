namespace Trainer.Checkpoints.Safetensors;

/// <summary>
/// The element types of the safetensors format. The order is that of the official library, by rising alignment:
/// a writer lays tensors out by falling type and then by name, so the order decides the bytes of a file.
/// </summary>
public enum SafetensorsDtype
{
    /// <summary>One byte, 0 or 1.</summary>
    Bool,
    /// <summary>Four-bit float, two to a byte.</summary>
    F4,
    /// <summary>Six-bit float, 2 exponent and 3 mantissa bits.</summary>
    F6E2M3,
    /// <summary>Six-bit float, 3 exponent and 2 mantissa bits.</summary>
    F6E3M2,
    /// <summary>Unsigned byte.</summary>
    U8,
    /// <summary>Signed byte.</summary>
    I8,
    /// <summary>Eight-bit float, 5 exponent and 2 mantissa bits.</summary>
    F8E5M2,
    /// <summary>Eight-bit float, 4 exponent and 3 mantissa bits.</summary>
    F8E4M3,
    /// <summary>Eight exponent bits alone: a power of two.</summary>
    F8E8M0,
    /// <summary>Signed 16-bit integer.</summary>
    I16,
    /// <summary>Unsigned 16-bit integer.</summary>
    U16,
    /// <summary>IEEE half precision.</summary>
    F16,
    /// <summary>Brain float: the upper half of a single.</summary>
    BF16,
    /// <summary>Signed 32-bit integer.</summary>
    I32,
    /// <summary>Unsigned 32-bit integer.</summary>
    U32,
    /// <summary>IEEE single precision.</summary>
    F32,
    /// <summary>Two singles: a complex number.</summary>
    C64,
    /// <summary>IEEE double precision.</summary>
    F64,
    /// <summary>Signed 64-bit integer.</summary>
    I64,
    /// <summary>Unsigned 64-bit integer.</summary>
    U64,
}
