using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;

namespace Trainer.Engine.Native;

/// <summary>fp32 matrix products on raw row-major memory, through the BLAS inside libtorch (or its addmm where that is not exported).</summary>
internal static unsafe partial class Gemm
{
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
