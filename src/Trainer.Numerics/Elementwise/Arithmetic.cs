using Trainer.Numerics.Wide;

namespace Trainer.Numerics.Elementwise;

/// <summary>Sums and products of vectors.</summary>
public static unsafe class Arithmetic
{
    /// <summary>sum = a + scale * b for elements [begin, end), fused; sum may be a or b.</summary>
    /// <param name="a">First operand.</param>
    /// <param name="b">Second operand.</param>
    /// <param name="scale">Factor of b.</param>
    /// <param name="sum">Result.</param>
    /// <param name="begin">First element.</param>
    /// <param name="end">One past the last.</param>
    public static void AddScaled(float* a, float* b, float scale, float* sum, long begin, long end) => AddScaled(Kernels.Width, a, b, scale, sum, begin, end);

    /// <summary>sum = a + b * c for elements [begin, end), fused; sum may be any of them.</summary>
    /// <param name="a">Summand.</param>
    /// <param name="b">First factor.</param>
    /// <param name="c">Second factor.</param>
    /// <param name="sum">Result.</param>
    /// <param name="begin">First element.</param>
    /// <param name="end">One past the last.</param>
    public static void AddProduct(float* a, float* b, float* c, float* sum, long begin, long end) => AddProduct(Kernels.Width, a, b, c, sum, begin, end);

    /// <summary>product = a * b for elements [begin, end); product may be a or b.</summary>
    /// <param name="a">First factor.</param>
    /// <param name="b">Second factor.</param>
    /// <param name="product">Result.</param>
    /// <param name="begin">First element.</param>
    /// <param name="end">One past the last.</param>
    public static void Product(float* a, float* b, float* product, long begin, long end) => Product(Kernels.Width, a, b, product, begin, end);

    /// <summary>sum of a[i] b[i] over n elements, in sixteen lanes.</summary>
    /// <param name="a">First operand.</param>
    /// <param name="b">Second operand.</param>
    /// <param name="n">Elements.</param>
    public static float Dot(float* a, float* b, int n) => Dot(Kernels.Width, a, b, n);

    /// <summary>Adds one row to each of rows [begin, end).</summary>
    /// <param name="y">(rows, n).</param>
    /// <param name="row">(n): a bias.</param>
    /// <param name="n">Length of a row.</param>
    /// <param name="begin">First row.</param>
    /// <param name="end">One past the last row.</param>
    public static void AddRow(float* y, float* row, int n, long begin, long end)
    {
        for (var r = begin; r < end; r++) AddScaled(y + r * n, row, 1f, y + r * n, 0, n);
    }

    internal static void AddScaled(KernelWidth width, float* a, float* b, float scale, float* sum, long begin, long end)
    {
        switch (width)
        {
            case KernelWidth.Vector512: Add<Lanes512>(a, b, scale, sum, begin, end); break;
            case KernelWidth.Vector256: Add<Lanes256>(a, b, scale, sum, begin, end); break;
            case KernelWidth.Vector128: Add<Lanes128>(a, b, scale, sum, begin, end); break;
            default: Add(a, b, scale, sum, begin, end); break;
        }
    }

    internal static void AddProduct(KernelWidth width, float* a, float* b, float* c, float* sum, long begin, long end)
    {
        switch (width)
        {
            case KernelWidth.Vector512: Multiply<Lanes512>(a, b, c, sum, begin, end); break;
            case KernelWidth.Vector256: Multiply<Lanes256>(a, b, c, sum, begin, end); break;
            case KernelWidth.Vector128: Multiply<Lanes128>(a, b, c, sum, begin, end); break;
            default: Multiply(a, b, c, sum, begin, end); break;
        }
    }

    internal static void Product(KernelWidth width, float* a, float* b, float* product, long begin, long end)
    {
        switch (width)
        {
            case KernelWidth.Vector512: Product<Lanes512>(a, b, product, begin, end); break;
            case KernelWidth.Vector256: Product<Lanes256>(a, b, product, begin, end); break;
            case KernelWidth.Vector128: Product<Lanes128>(a, b, product, begin, end); break;
            default: ProductScalar(a, b, product, begin, end); break;
        }
    }

    internal static float Dot(KernelWidth width, float* a, float* b, int n) => width switch
    {
        KernelWidth.Vector512 => Dot<Lanes512>(a, b, n),
        KernelWidth.Vector256 => Dot<Lanes256>(a, b, n),
        KernelWidth.Vector128 => Dot<Lanes128>(a, b, n),
        _ => DotScalar(a, b, n),
    };

    private static float DotScalar(float* a, float* b, int n)
    {
        var lanes = stackalloc float[16];
        for (var lane = 0; lane < 16; lane++) lanes[lane] = 0f;
        for (var i = 0; i < n; i++) lanes[i % 16] = MathF.FusedMultiplyAdd(a[i], b[i], lanes[i % 16]);
        return LaneSum.Of(lanes);
    }

    private static float Dot<T>(float* a, float* b, int n) where T : struct, ILanes<T>
    {
        var sum = T.Create(0f);
        var i = 0;
        for (; i + 16 <= n; i += 16) sum = T.Fused(T.Load(a + i), T.Load(b + i), sum);
        var lanes = stackalloc float[16];
        sum.Store(lanes);
        for (; i < n; i++) lanes[i % 16] = MathF.FusedMultiplyAdd(a[i], b[i], lanes[i % 16]);
        return LaneSum.Of(lanes);
    }

    private static void Multiply(float* a, float* b, float* c, float* sum, long begin, long end)
    {
        for (var i = begin; i < end; i++) sum[i] = MathF.FusedMultiplyAdd(b[i], c[i], a[i]);
    }

    private static void Multiply<T>(float* a, float* b, float* c, float* sum, long begin, long end) where T : struct, ILanes<T>
    {
        var i = begin;
        for (; i + 16 <= end; i += 16) T.Fused(T.Load(b + i), T.Load(c + i), T.Load(a + i)).Store(sum + i);
        Multiply(a, b, c, sum, i, end);
    }

    private static void ProductScalar(float* a, float* b, float* product, long begin, long end)
    {
        for (var i = begin; i < end; i++) product[i] = a[i] * b[i];
    }

    private static void Product<T>(float* a, float* b, float* product, long begin, long end) where T : struct, ILanes<T>
    {
        var i = begin;
        for (; i + 16 <= end; i += 16) (T.Load(a + i) * T.Load(b + i)).Store(product + i);
        ProductScalar(a, b, product, i, end);
    }

    private static void Add(float* a, float* b, float scale, float* sum, long begin, long end)
    {
        for (var i = begin; i < end; i++) sum[i] = MathF.FusedMultiplyAdd(b[i], scale, a[i]);
    }

    private static void Add<T>(float* a, float* b, float scale, float* sum, long begin, long end) where T : struct, ILanes<T>
    {
        var factor = T.Create(scale);
        var i = begin;
        for (; i + 16 <= end; i += 16) T.Fused(T.Load(b + i), factor, T.Load(a + i)).Store(sum + i);
        Add(a, b, scale, sum, i, end);
    }
}
