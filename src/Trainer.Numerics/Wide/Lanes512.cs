using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Trainer.Numerics.Nf4;

namespace Trainer.Numerics.Wide;

/// <summary>Sixteen floats in one AVX-512 register.</summary>
internal readonly unsafe struct Lanes512 : ILanes<Lanes512>
{
    private static readonly Vector512<float> Nf4Values = Vector512.Create(Nf4Codebook.Values);
    private readonly Vector512<float> _a;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Lanes512(Vector512<float> a)
    {
        _a = a;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 Load(float* source) => new(Vector512.Load(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 Create(float value) => new(Vector512.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 LoadBFloat16(ushort* source) => new((Avx512F.ConvertToVector512UInt32(Vector256.Load(source)) << 16).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 LoadInt8(sbyte* source) => new(Vector512.ConvertToSingle(Avx512F.ConvertToVector512Int32(Vector128.Load(source))));

    // vpermps reads the low four bits of an index alone: no mask, and the codebook is one register.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 LoadNf4(byte* packed, out Lanes512 odd)
    {
        var bytes = Avx512F.ConvertToVector512Int32(Vector128.Load(packed));
        odd = new(Avx512F.PermuteVar16x32(Nf4Values, bytes));
        return new(Avx512F.PermuteVar16x32(Nf4Values, bytes >>> 4));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(float* target)
    {
        _a.Store(target);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 operator +(Lanes512 a, Lanes512 b) => new(a._a + b._a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 operator -(Lanes512 a, Lanes512 b) => new(a._a - b._a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 operator *(Lanes512 a, Lanes512 b) => new(a._a * b._a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 operator /(Lanes512 a, Lanes512 b) => new(a._a / b._a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 Fused(Lanes512 a, Lanes512 b, Lanes512 c) => new(Vector512.FusedMultiplyAdd(a._a, b._a, c._a));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 Larger(Lanes512 a, Lanes512 b) => new(Vector512.ConditionalSelect(Vector512.GreaterThan(a._a, b._a), a._a, b._a));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 Smaller(Lanes512 a, Lanes512 b) => new(Vector512.ConditionalSelect(Vector512.LessThan(a._a, b._a), a._a, b._a));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 ZeroWhereLess(Lanes512 x, Lanes512 limit, Lanes512 value) => new(Vector512.AndNot(value._a, Vector512.LessThan(x._a, limit._a)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 Scale(Lanes512 value, Lanes512 magic) => new((value._a.AsInt32() + (magic._a.AsInt32() << 23)).AsSingle());

    public float Sum()
    {
        var eight = _a.GetLower() + _a.GetUpper();
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
