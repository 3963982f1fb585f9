using System.Runtime.InteropServices;
using TorchSharp;

namespace Trainer.Engine.Native;

/// <summary>Products of narrow types on raw, dense, row-major memory, by libtorch's own operators (oneDNN's VNNI, AVX512-BF16 and AMX kernels where the
/// processor has them).</summary>
/// <remarks>
/// oneDNN compiles a kernel for each shape it meets and keeps up to 1024 of them, 0.3 MiB each in bfloat16: batches of ever other lengths would fill hundreds
/// of MiB.
/// So rows go in blocks of eleven sizes. <c>a</c> and <c>c</c> have room for <see cref="PaddedRows"/>; what lies in a beyond m may be anything, what comes
/// there in c is nothing.
/// </remarks>
internal static unsafe partial class NarrowGemm
{
    private const long BlockRows = 512;
    private const long Step = 64;
    private const long SmallStep = 16;

    /// <summary>Rows that a product of m rows reads and writes.</summary>
    public static long PaddedRows(long m)
    {
        var rest = m % BlockRows;
        var step = rest > Step ? Step : SmallStep;
        return m - rest + (rest + step - 1) / step * step;
    }

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

    private static void Multiply<TIn, TOut>(long m, long n, long k, TIn* a, torch.Tensor right, TOut* c)
        where TIn : unmanaged
        where TOut : unmanaged
    {
        for (long first = 0, rows = PaddedRows(m); first < rows; first += BlockRows)
        {
            var count = Math.Min(BlockRows, rows - first);
            using var left = TorchMemory.View(a + first * k, [count, k], [k, 1]);
            using var result = TorchMemory.View(c + first * n, [count, n], [n, 1]);
            var code = typeof(TIn) == typeof(sbyte) ? IntMmOut(result.Handle, left.Handle, right.Handle) : MmOut(result.Handle, left.Handle, right.Handle);
            if (code != 0) throw new InvalidOperationException($"libtorch's product of {typeof(TIn).Name} failed (code {code}) on [{count}, {k}] x [{k}, {n}]");
        }
    }

    [LibraryImport("torch_cpu", EntryPoint = "aoti_torch_cpu__int_mm_out")]
    private static partial int IntMmOut(IntPtr result, IntPtr left, IntPtr right);

    [LibraryImport("torch_cpu", EntryPoint = "aoti_torch_cpu_mm_out")]
    private static partial int MmOut(IntPtr result, IntPtr left, IntPtr right);
}
