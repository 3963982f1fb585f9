using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Trainer.Numerics.Nf4;

namespace Trainer.Numerics.Wide;

/// <summary>Sixteen floats in four 128-bit registers.</summary>
internal readonly unsafe struct Lanes128 : ILanes<Lanes128>
{
    private readonly Vector128<float> _a;
    private readonly Vector128<float> _b;
    private readonly Vector128<float> _c;
    private readonly Vector128<float> _d;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Lanes128(Vector128<float> a, Vector128<float> b, Vector128<float> c, Vector128<float> d)
    {
        _a = a;
        _b = b;
        _c = c;
        _d = d;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Load(float* source)
    => new(Vector128.Load(source), Vector128.Load(source + 4), Vector128.Load(source + 8), Vector128.Load(source + 12));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Create(float value) => new(Vector128.Create(value), Vector128.Create(value), Vector128.Create(value), Vector128.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 LoadBFloat16(ushort* source)
    {
        var (a, b) = Vector128.Widen(Vector128.Load(source));
        var (c, d) = Vector128.Widen(Vector128.Load(source + 8));
        return new((a << 16).AsSingle(), (b << 16).AsSingle(), (c << 16).AsSingle(), (d << 16).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 LoadInt8(sbyte* source)
    {
        var (low, high) = Vector128.Widen(Vector128.Load(source));
        var (a, b) = Vector128.Widen(low);
        var (c, d) = Vector128.Widen(high);
        return new(Vector128.ConvertToSingle(a), Vector128.ConvertToSingle(b), Vector128.ConvertToSingle(c), Vector128.ConvertToSingle(d));
    }

    // Without a permutation of floats by register (AVX2) the codebook is looked up in memory.
    public static Lanes128 LoadNf4(byte* packed, out Lanes128 odd)
    {
        float* high = stackalloc float[16], low = stackalloc float[16];
        for (var i = 0; i < 16; i++) (high[i], low[i]) = (Nf4Codebook.ValueTable[packed[i] >> 4], Nf4Codebook.ValueTable[packed[i] & 15]);
        odd = Load(low);
        return Load(high);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(float* target)
    {
        _a.Store(target);
        _b.Store(target + 4);
        _c.Store(target + 8);
        _d.Store(target + 12);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 operator +(Lanes128 a, Lanes128 b) => new(a._a + b._a, a._b + b._b, a._c + b._c, a._d + b._d);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 operator -(Lanes128 a, Lanes128 b) => new(a._a - b._a, a._b - b._b, a._c - b._c, a._d - b._d);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 operator *(Lanes128 a, Lanes128 b) => new(a._a * b._a, a._b * b._b, a._c * b._c, a._d * b._d);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 operator /(Lanes128 a, Lanes128 b) => new(a._a / b._a, a._b / b._b, a._c / b._c, a._d / b._d);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Fused(Lanes128 a, Lanes128 b, Lanes128 c)
    => new(Vector128.FusedMultiplyAdd(a._a, b._a, c._a), Vector128.FusedMultiplyAdd(a._b, b._b, c._b), Vector128.FusedMultiplyAdd(a._c, b._c, c._c),
        Vector128.FusedMultiplyAdd(a._d, b._d, c._d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Larger(Lanes128 a, Lanes128 b)
    => new(Vector128.ConditionalSelect(Vector128.GreaterThan(a._a, b._a), a._a, b._a),
        Vector128.ConditionalSelect(Vector128.GreaterThan(a._b, b._b), a._b, b._b), Vector128.ConditionalSelect(Vector128.GreaterThan(a._c, b._c), a._c, b._c),
        Vector128.ConditionalSelect(Vector128.GreaterThan(a._d, b._d), a._d, b._d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Smaller(Lanes128 a, Lanes128 b)
    => new(Vector128.ConditionalSelect(Vector128.LessThan(a._a, b._a), a._a, b._a), Vector128.ConditionalSelect(Vector128.LessThan(a._b, b._b), a._b, b._b),
        Vector128.ConditionalSelect(Vector128.LessThan(a._c, b._c), a._c, b._c), Vector128.ConditionalSelect(Vector128.LessThan(a._d, b._d), a._d, b._d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 ZeroWhereLess(Lanes128 x, Lanes128 limit, Lanes128 value)
    => new(Vector128.AndNot(value._a, Vector128.LessThan(x._a, limit._a)), Vector128.AndNot(value._b, Vector128.LessThan(x._b, limit._b)),
        Vector128.AndNot(value._c, Vector128.LessThan(x._c, limit._c)), Vector128.AndNot(value._d, Vector128.LessThan(x._d, limit._d)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Scale(Lanes128 value, Lanes128 magic)
    => new((value._a.AsInt32() + (magic._a.AsInt32() << 23)).AsSingle(), (value._b.AsInt32() + (magic._b.AsInt32() << 23)).AsSingle(),
        (value._c.AsInt32() + (magic._c.AsInt32() << 23)).AsSingle(), (value._d.AsInt32() + (magic._d.AsInt32() << 23)).AsSingle());

    public float Sum()
    {
        var four = (_a + _c) + (_b + _d);
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
