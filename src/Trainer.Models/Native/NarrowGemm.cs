using System.Runtime.InteropServices;
using TorchSharp;

namespace Trainer.Models.Native;

/// <summary>Products of narrow types on raw, dense, row-major memory, by libtorch's own operators (oneDNN's VNNI, AVX512-BF16 and AMX kernels where the processor has them).</summary>
internal static unsafe partial class NarrowGemm
{
    /// <summary>c[m, n] = a[m, k] b[n, k]^T, summed in float32, rounded to bfloat16.</summary>
    public static void TimesTransposed(long m, long n, long k, ushort* a, ushort* b, ushort* c)
    {
        using var right = TorchMemory.View(b, [k, n], [1, k]);
        Multiply(m, n, k, a, right, c);
    }

    /// <summary>c[m, n] = a[m, k] b[k, n], summed in float32, rounded to bfloat16.</summary>
    public static void Times(long m, long n, long k, ushort* a, ushort* b, ushort* c)
    {
        using var right = TorchMemory.View(b, [k, n], [n, 1]);
        Multiply(m, n, k, a, right, c);
    }

    /// <summary>c[m, n] = a[m, k] b[n, k]^T in 32-bit integers, exact.</summary>
    public static void TimesTransposed(long m, long n, long k, sbyte* a, sbyte* b, int* c)
    {
        using var right = TorchMemory.View(b, [k, n], [1, k]);
        Multiply(m, n, k, a, right, c);
    }

    /// <summary>c[m, n] = a[m, k] b[k, n] in 32-bit integers, exact.</summary>
    public static void Times(long m, long n, long k, sbyte* a, sbyte* b, int* c)
    {
        using var right = TorchMemory.View(b, [k, n], [n, 1]);
        Multiply(m, n, k, a, right, c);
    }

    private static void Multiply(long m, long n, long k, ushort* a, torch.Tensor right, ushort* c)
    {
        if (m == 0 || n == 0) return;
        using var left = TorchMemory.View(a, [m, k], [k, 1]);
        using var result = TorchMemory.View(c, [m, n], [n, 1]);
        Check(MmOut(result.Handle, left.Handle, right.Handle), "bfloat16", m, n, k);
        GC.KeepAlive(left);
    }

    private static void Multiply(long m, long n, long k, sbyte* a, torch.Tensor right, int* c)
    {
        if (m == 0 || n == 0) return;
        using var left = TorchMemory.View(a, [m, k], [k, 1]);
        using var result = TorchMemory.View(c, [m, n], [n, 1]);
        Check(IntMmOut(result.Handle, left.Handle, right.Handle), "8-bit", m, n, k);
        GC.KeepAlive(left);
    }

    private static void Check(int code, string type, long m, long n, long k)
    {
        if (code != 0) throw new InvalidOperationException($"libtorch's {type} product failed (code {code}) on [{m}, {k}] x [{k}, {n}]");
    }

    [LibraryImport("torch_cpu", EntryPoint = "aoti_torch_cpu__int_mm_out")]
    private static partial int IntMmOut(IntPtr result, IntPtr left, IntPtr right);

    [LibraryImport("torch_cpu", EntryPoint = "aoti_torch_cpu_mm_out")]
    private static partial int MmOut(IntPtr result, IntPtr left, IntPtr right);
}
