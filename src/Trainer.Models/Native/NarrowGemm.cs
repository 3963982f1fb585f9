using System.Runtime.InteropServices;

namespace Trainer.Models.Native;

/// <summary>Products a[m, k] b[n, k]^T of narrow types on raw row-major memory, by libtorch's own operators (oneDNN's VNNI and bfloat16 kernels where the processor has them).</summary>
internal static unsafe partial class NarrowGemm
{
    /// <summary>c[m, n] = a b^T in 32-bit integers, exact; all three dense.</summary>
    public static void Bytes(long m, long n, long k, sbyte* a, sbyte* b, int* c)
    {
        if (m == 0 || n == 0) return;
        using var left = TorchMemory.View(a, [m, k], [k, 1]);
        using var right = TorchMemory.View(b, [k, n], [1, k]);
        using var result = TorchMemory.View(c, [m, n], [n, 1]);
        var code = IntMmOut(result.Handle, left.Handle, right.Handle);
        GC.KeepAlive(left);
        if (code != 0) throw new InvalidOperationException($"libtorch's 8-bit product failed (code {code}) on [{m}, {k}] x [{k}, {n}]");
    }

    /// <summary>c[m, n] = a b^T, rounded to bfloat16; all three dense.</summary>
    public static void BFloat16(long m, long n, long k, ushort* a, ushort* b, ushort* c)
    {
        if (m == 0 || n == 0) return;
        using var left = TorchMemory.View(a, [m, k], [k, 1]);
        using var right = TorchMemory.View(b, [k, n], [1, k]);
        using var result = TorchMemory.View(c, [m, n], [n, 1]);
        var code = MmOut(result.Handle, left.Handle, right.Handle);
        GC.KeepAlive(left);
        if (code != 0) throw new InvalidOperationException($"libtorch's bfloat16 product failed (code {code}) on [{m}, {k}] x [{k}, {n}]");
    }

    [LibraryImport("torch_cpu", EntryPoint = "aoti_torch_cpu__int_mm_out")]
    private static partial int IntMmOut(IntPtr result, IntPtr left, IntPtr right);

    [LibraryImport("torch_cpu", EntryPoint = "aoti_torch_cpu_mm_out")]
    private static partial int MmOut(IntPtr result, IntPtr left, IntPtr right);
}
