using System.Runtime.CompilerServices;
using Trainer.Numerics.Wide;

namespace Trainer.Numerics.Elementwise;

/// <summary>e^x in fp32; largest error 1.1 units in the last place over the whole range, 0 below -87.3 (results that would be subnormal).</summary>
/// <remarks>
/// x = n ln 2 + r with |r| at most ln 2 / 2; e^r by a polynomial of degree 6 (Cephes' expf); n is found by adding 1.5 * 2^23, whose low mantissa bits then
/// are n, and goes into the exponent. Input is clamped, so an overflow gives about 2.4e38 and not infinity.
/// A NaN stays a NaN: clamps keep it, and the last step adds x * 0, since exponent arithmetic on a NaN's bits could make a number of it.
/// </remarks>
public static unsafe class Exponential
{
    internal const float Lowest = -87.33654f;
    internal const float Highest = 88.37626f;
    internal const float Magic = 12582912f;
    internal const float Log2E = 1.44269504f;
    internal const float Ln2High = 0.693359375f;
    internal const float Ln2Low = -2.12194440e-4f;
    private const float C0 = 1.9875691500e-4f, C1 = 1.3981999507e-3f, C2 = 8.3334519073e-3f, C3 = 4.1665795894e-2f, C4 = 1.6666665459e-1f,
        C5 = 5.0000001201e-1f;

    /// <summary>The specification.</summary>
    /// <param name="x">Exponent.</param>
    public static float Of(float x)
    {
        if (x < Lowest) return 0f;
        x = Highest < x ? Highest : x;
        var magic = MathF.FusedMultiplyAdd(x, Log2E, Magic);
        var n = magic - Magic;
        var r = MathF.FusedMultiplyAdd(n, -Ln2High, x);
        r = MathF.FusedMultiplyAdd(n, -Ln2Low, r);
        var p = MathF.FusedMultiplyAdd(C0, r, C1);
        p = MathF.FusedMultiplyAdd(p, r, C2);
        p = MathF.FusedMultiplyAdd(p, r, C3);
        p = MathF.FusedMultiplyAdd(p, r, C4);
        p = MathF.FusedMultiplyAdd(p, r, C5);
        p = MathF.FusedMultiplyAdd(p, r * r, r) + 1f;
        var scaled = BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(p) + (BitConverter.SingleToInt32Bits(magic) << 23));
        return MathF.FusedMultiplyAdd(x, 0f, scaled);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T Of<T>(T x) where T : struct, ILanes<T>
    {
        var clamped = T.Smaller(T.Create(Highest), T.Larger(T.Create(Lowest), x));
        var magic = T.Fused(clamped, T.Create(Log2E), T.Create(Magic));
        var n = magic - T.Create(Magic);
        var r = T.Fused(n, T.Create(-Ln2High), clamped);
        r = T.Fused(n, T.Create(-Ln2Low), r);
        var p = T.Fused(T.Create(C0), r, T.Create(C1));
        p = T.Fused(p, r, T.Create(C2));
        p = T.Fused(p, r, T.Create(C3));
        p = T.Fused(p, r, T.Create(C4));
        p = T.Fused(p, r, T.Create(C5));
        p = T.Fused(p, r * r, r) + T.Create(1f);
        return T.ZeroWhereLess(x, T.Create(Lowest), T.Fused(clamped, T.Create(0f), T.Scale(p, magic)));
    }
}
