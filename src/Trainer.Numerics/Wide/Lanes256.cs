using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Trainer.Numerics.Nf4;

namespace Trainer.Numerics.Wide;

/// <summary>Sixteen floats in two AVX2 registers.</summary>
internal readonly unsafe struct Lanes256 : ILanes<Lanes256>
{
    private static readonly Vector256<float> LowNf4Values = Vector256.Create(Nf4Codebook.Values[..8]);
    private static readonly Vector256<float> HighNf4Values = Vector256.Create(Nf4Codebook.Values[8..]);
    private readonly Vector256<float> _a;
    private readonly Vector256<float> _b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Lanes256(Vector256<float> a, Vector256<float> b)
    {
        _a = a;
        _b = b;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 Load(float* source) => new(Vector256.Load(source), Vector256.Load(source + 8));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 Create(float value) => new(Vector256.Create(value), Vector256.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 LoadBFloat16(ushort* source)
        => new((Avx2.ConvertToVector256Int32(Vector128.Load(source)) << 16).AsSingle(),
            (Avx2.ConvertToVector256Int32(Vector128.Load(source + 8)) << 16).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 LoadInt8(sbyte* source)
        => new(Vector256.ConvertToSingle(Avx2.ConvertToVector256Int32(source)), Vector256.ConvertToSingle(Avx2.ConvertToVector256Int32(source + 8)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 LoadNf4(byte* packed, out Lanes256 odd)
    {
        Vector256<int> first = Avx2.ConvertToVector256Int32(packed), second = Avx2.ConvertToVector256Int32(packed + 8);
        odd = new(Look(first), Look(second));
        return new(Look(first >>> 4), Look(second >>> 4));
    }

    // vpermps reads three bits of an index and vblendvps the sign alone, to which the fourth is moved.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Look(Vector256<int> codes)
    {
        var low = Avx2.PermuteVar8x32(LowNf4Values, codes);
        var high = Avx2.PermuteVar8x32(HighNf4Values, codes);
        return Avx.BlendVariable(low, high, (codes << 28).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(float* target)
    {
        _a.Store(target);
        _b.Store(target + 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 operator +(Lanes256 a, Lanes256 b) => new(a._a + b._a, a._b + b._b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 operator -(Lanes256 a, Lanes256 b) => new(a._a - b._a, a._b - b._b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 operator *(Lanes256 a, Lanes256 b) => new(a._a * b._a, a._b * b._b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 operator /(Lanes256 a, Lanes256 b) => new(a._a / b._a, a._b / b._b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 Fused(Lanes256 a, Lanes256 b, Lanes256 c)
    => new(Vector256.FusedMultiplyAdd(a._a, b._a, c._a), Vector256.FusedMultiplyAdd(a._b, b._b, c._b));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 Larger(Lanes256 a, Lanes256 b)
    => new(Vector256.ConditionalSelect(Vector256.GreaterThan(a._a, b._a), a._a, b._a),
        Vector256.ConditionalSelect(Vector256.GreaterThan(a._b, b._b), a._b, b._b));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 Smaller(Lanes256 a, Lanes256 b)
    => new(Vector256.ConditionalSelect(Vector256.LessThan(a._a, b._a), a._a, b._a), Vector256.ConditionalSelect(Vector256.LessThan(a._b, b._b), a._b, b._b));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 ZeroWhereLess(Lanes256 x, Lanes256 limit, Lanes256 value)
    => new(Vector256.AndNot(value._a, Vector256.LessThan(x._a, limit._a)), Vector256.AndNot(value._b, Vector256.LessThan(x._b, limit._b)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 Scale(Lanes256 value, Lanes256 magic)
    => new((value._a.AsInt32() + (magic._a.AsInt32() << 23)).AsSingle(), (value._b.AsInt32() + (magic._b.AsInt32() << 23)).AsSingle());

    public float Sum()
    {
        var eight = _a + _b;
        var four = eight.GetLower() + eight.GetUpper();
        return (four[0] + four[2]) + (four[1] + four[3]);
    }

    public float Largest()
    {
        var values = stackalloc float[16];
        Store(values);
        var largest = values[0];
        for (var lane = 1; lane < 16; lane++) largest = values[lane] > largest ? values[lane] : largest;
        return largest;
    }
}
