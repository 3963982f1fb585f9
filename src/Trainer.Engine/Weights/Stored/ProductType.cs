using Trainer.Numerics.Half;

namespace Trainer.Engine.Weights.Stored;

/// <summary>The type in which the tool that made a quantized folder multiplies code and scale: its rounding belongs to the weight.</summary>
internal enum ProductType
{
    /// <summary>No rounding beyond float32.</summary>
    Float32,
    /// <summary>Rounded to half precision, to nearest even.</summary>
    Float16,
    /// <summary>Rounded to bfloat16, to nearest even.</summary>
    BFloat16,
}

/// <summary>Rounds products of code and scale.</summary>
internal static unsafe class ProductRounding
{
    /// <summary>The value as the type holds it.</summary>
    public static float Round(this ProductType type, float value)
    {
        if (type == ProductType.Float32) return value;
        if (type == ProductType.Float16) return (float)(System.Half)value;
        ushort bits;
        BFloat16Bits.FromFloat(&value, &bits, 1);
        return BitConverter.UInt32BitsToSingle((uint)bits << 16);
    }
}
