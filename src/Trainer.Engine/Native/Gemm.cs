using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;

namespace Trainer.Engine.Native;

/// <summary>fp32 matrix products on raw row-major memory, through the BLAS inside libtorch (or its addmm where that is not exported).</summary>
/// <remarks>
/// Outside of a loop a product is cut into parts of its result that the team takes, each computed by BLAS on one thread; inside of one it stays on its thread.
/// Parts begin at multiples of 16 rows and columns and have at least 16: then MKL's sums of an element are those of the whole product.
/// </remarks>
internal static unsafe partial class Gemm
{
    // Multiplications and additions that take some microseconds.
    private const double PartOperations = 5e5;
    private const long PartsPerThread = 4;
    private const long Step = 16;

    private static readonly Lazy<bool> HasSgemm = new(FindSgemm);

    /// <summary>c[m, n] = alpha * a[m, k] b[n, k]^T + beta * c.</summary>
    public static void TimesTransposed(long m, long n, long k, float alpha, float* a, long lda, float* b, long ldb, float beta, float* c, long ldc)
        => Run(false, true, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);

    /// <summary>c[m, n] = alpha * a[m, k] b[k, n] + beta * c.</summary>
    public static void Times(long m, long n, long k, float alpha, float* a, long lda, float* b, long ldb, float beta, float* c, long ldc)
        => Run(false, false, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);

    /// <summary>c[m, n] = alpha * a[k, m]^T b[k, n] + beta * c.</summary>
    public static void TransposedTimes(long m, long n, long k, float alpha, float* a, long lda, float* b, long ldb, float beta, float* c, long ldc)
        => Run(true, false, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);

    private static void Run(bool ta, bool tb, long m, long n, long k, float alpha, float* a, long lda, float* b, long ldb, float beta, float* c, long ldc)
    {
        if (m == 0 || n == 0) return;
        if (ComputeThreads.IsInside)
        {
            One(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
            return;
        }
        var (high, wide) = Cut(m, n, k, ComputeThreads.Count);
        var (down, across) = (Parts(m, high), Parts(n, wide));
        ComputeThreads.For(0, down * across, 1, (begin, end) =>
        {
            for (var part = begin; part < end; part++)
            {
                long row = part / across * high, column = part % across * wide;
                long rows = part / across == down - 1 ? m - row : high, columns = part % across == across - 1 ? n - column : wide;
                float* left = a + row * (ta ? 1 : lda), right = b + column * (tb ? ldb : 1);
                One(ta, tb, rows, columns, k, alpha, left, lda, right, ldb, beta, c + row * ldc + column, ldc);
            }
        });
    }

    /// <summary>Rows and columns of the parts of a result [m, n] with sums of k: as many parts as feed the threads, none too small to be worth one.</summary>
    internal static (long Rows, long Columns) Cut(long m, long n, long k, int threads)
    {
        if (threads == 1) return (m, n);
        var wanted = Math.Clamp((long)(2.0 * m * n * k / PartOperations), 1, PartsPerThread * threads);
        // The longer side is cut first: parts stay as near to squares as they can.
        if (n > m)
        {
            var columns = Side(n, wanted);
            return (Side(m, wanted / Parts(n, columns)), columns);
        }
        var rows = Side(m, wanted);
        return (rows, Side(n, wanted / Parts(m, rows)));
    }

    /// <summary>Parts of a side; what would be left over for a last one of less than 16 belongs to the one before.</summary>
    internal static long Parts(long length, long side) => Math.Max(1, (length + side - Step) / side);

    private static long Side(long length, long parts)
        => Math.Min(length, Math.Max(Step, ((length + Math.Max(1, parts) - 1) / Math.Max(1, parts) + Step - 1) / Step * Step));

    private static void One(bool ta, bool tb, long m, long n, long k, float alpha, float* a, long lda, float* b, long ldb, float beta, float* c, long ldc)
    {
        if (HasSgemm.Value && Fits(m, n, k, lda, ldb, ldc)) Blas(ta, tb, (int)m, (int)n, (int)k, alpha, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
        else Torch(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    }

    private static bool Fits(long m, long n, long k, long lda, long ldb, long ldc)
        => Math.Max(Math.Max(m, n), Math.Max(k, Math.Max(lda, Math.Max(ldb, ldc)))) <= int.MaxValue;

    /// <summary>BLAS is column-major: a row-major c = a b is its c^T = b^T a^T, so the operands change places.</summary>
    internal static void Blas(bool ta, bool tb, int m, int n, int k, float alpha, float* a, int lda, float* b, int ldb, float beta, float* c, int ldc)
    {
        byte first = tb ? (byte)'T' : (byte)'N', second = ta ? (byte)'T' : (byte)'N';
        Sgemm(&first, &second, &n, &m, &k, &alpha, b, &ldb, a, &lda, &beta, c, &ldc);
    }

    internal static void Torch(bool ta, bool tb, long m, long n, long k, float alpha, float* a, long lda, float* b, long ldb, float beta, float* c, long ldc)
    {
        using var left = TorchMemory.View(a, [m, k], ta ? [1, lda] : [lda, 1]);
        using var right = TorchMemory.View(b, [k, n], tb ? [1, ldb] : [ldb, 1]);
        using var result = TorchMemory.View(c, [m, n], [ldc, 1]);
        var code = AddmmOut(result.Handle, result.Handle, left.Handle, right.Handle, beta, alpha);
        GC.KeepAlive(left);
        if (code != 0) throw new InvalidOperationException($"libtorch's addmm failed (code {code}) on [{m}, {k}] x [{k}, {n}]");
    }

    private static bool FindSgemm()
    {
        RuntimeHelpers.RunClassConstructor(typeof(torch).TypeHandle);
        return NativeLibrary.TryLoad("torch_cpu", typeof(torch).Assembly, null, out var library) && NativeLibrary.TryGetExport(library, "sgemm_", out _);
    }

    [LibraryImport("torch_cpu", EntryPoint = "sgemm_")]
    private static partial void Sgemm(
        byte* transposeA, byte* transposeB, int* m, int* n, int* k, float* alpha, float* a, int* lda, float* b, int* ldb, float* beta, float* c, int* ldc);

    [LibraryImport("torch_cpu", EntryPoint = "aoti_torch_cpu_addmm_out")]
    private static partial int AddmmOut(IntPtr result, IntPtr self, IntPtr left, IntPtr right, double beta, double alpha);
}
