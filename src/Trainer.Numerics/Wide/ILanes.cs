namespace Trainer.Numerics.Wide;

/// <summary>Sixteen floats, in as many registers as the width needs.</summary>
/// <remarks>
/// A kernel written on this interface does the same sixteen-lane arithmetic at every width: each operation rounds as its scalar counterpart does
/// (<see cref="Fused"/> as <see cref="MathF.FusedMultiplyAdd"/>), and <see cref="Sum"/> adds lanes in one fixed order.
/// </remarks>
internal unsafe interface ILanes<TSelf> where TSelf : struct, ILanes<TSelf>
{
    static abstract TSelf Load(float* source);

    static abstract TSelf Create(float value);

    /// <summary>Sixteen bfloat16 values.</summary>
    static abstract TSelf LoadBFloat16(ushort* source);

    /// <summary>Sixteen signed bytes.</summary>
    static abstract TSelf LoadInt8(sbyte* source);

    /// <summary>The codebook values of 32 packed NF4 codes: lane i of the result is the high nibble of byte i, of <paramref name="odd"/> the low one.</summary>
    static abstract TSelf LoadNf4(byte* packed, out TSelf odd);

    void Store(float* target);

    static abstract TSelf operator +(TSelf a, TSelf b);

    static abstract TSelf operator -(TSelf a, TSelf b);

    static abstract TSelf operator *(TSelf a, TSelf b);

    static abstract TSelf operator /(TSelf a, TSelf b);

    /// <summary>a * b + c with one rounding.</summary>
    static abstract TSelf Fused(TSelf a, TSelf b, TSelf c);

    /// <summary>a where a &gt; b, else b.</summary>
    static abstract TSelf Larger(TSelf a, TSelf b);

    /// <summary>a where a &lt; b, else b.</summary>
    static abstract TSelf Smaller(TSelf a, TSelf b);

    /// <summary>0 where x &lt; limit, else value.</summary>
    static abstract TSelf ZeroWhereLess(TSelf x, TSelf limit, TSelf value);

    /// <summary>value * 2^n where <paramref name="magic"/> is n + 1.5 * 2^23: n is read off its low bits and added to the exponent.</summary>
    static abstract TSelf Scale(TSelf value, TSelf magic);

    /// <summary>Lanes added pairwise, distance 8, 4, 2, 1.</summary>
    float Sum();

    /// <summary>The largest lane.</summary>
    float Largest();
}
