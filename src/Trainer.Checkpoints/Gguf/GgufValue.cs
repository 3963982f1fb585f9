namespace Trainer.Checkpoints.Gguf;

/// <summary>One metadata value of a GGUF file.</summary>
/// <param name="Type">Its type.</param>
/// <param name="Value">A .NET number, bool or string, or for arrays an array of them (object[] for arrays of arrays).</param>
/// <param name="ElementType">Type of the elements of an array; else null.</param>
public sealed record GgufValue(GgufValueType Type, object Value, GgufValueType? ElementType = null)
{
    /// <summary>UTF-8 text.</summary>
    public static GgufValue Of(string value) => new(GgufValueType.Text, value);

    /// <summary>An unsigned 32-bit number, which is what counts and ids are.</summary>
    public static GgufValue Of(uint value) => new(GgufValueType.UInt32, value);

    /// <summary>A single-precision number.</summary>
    public static GgufValue Of(float value) => new(GgufValueType.Float32, value);

    /// <summary>A yes or no.</summary>
    public static GgufValue Of(bool value) => new(GgufValueType.Bool, value);

    /// <summary>Texts.</summary>
    public static GgufValue Of(string[] values) => new(GgufValueType.Array, values, GgufValueType.Text);

    /// <summary>Single-precision numbers.</summary>
    public static GgufValue Of(float[] values) => new(GgufValueType.Array, values, GgufValueType.Float32);

    /// <summary>Several times yes or no.</summary>
    public static GgufValue Of(bool[] values) => new(GgufValueType.Array, values, GgufValueType.Bool);

    /// <summary>Signed 32-bit numbers.</summary>
    public static GgufValue Of(int[] values) => new(GgufValueType.Array, values, GgufValueType.Int32);
}
