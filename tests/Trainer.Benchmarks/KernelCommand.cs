using System.Diagnostics;
using System.Runtime.InteropServices;
using Trainer.Engine.Native;
using Trainer.Numerics;
using Trainer.Numerics.Dot;
using Trainer.Numerics.Elementwise;
using Trainer.Numerics.Half;
using Trainer.Numerics.Nf4;
using Trainer.Numerics.Optimizer;

namespace Trainer.Benchmarks;

/// <summary>Kernels at 4096 x 4096 on all threads, as bytes a second beside memcpy of the same output.</summary>
internal static unsafe class KernelCommand
{
    private const long Count = 4096L * 4096;

    public static int Run()
    {
        float* x = Floats(), y = Floats(), z = Floats(), w = Floats(), absmax = (float*)NativeMemory.AlignedAlloc((nuint)Count / 16, 64);
        var packed = (byte*)NativeMemory.AlignedAlloc((nuint)Count / 2, 64);
        for (long i = 0; i < Count; i++) x[i] = MathF.Sin(i * 0.001f) * 0.02f;
        Console.WriteLine($"kernels {Kernels.Width}; GB/s of the bytes named");
        Report("memcpy (output)", Count * 4, () => ComputeThreads.For(0, Count, 1 << 16, (b, e) => NativeMemory.Copy(x + b, y + b, (nuint)(e - b) * 4)));
        Report("quantize (fp32 input)", Count * 4,
            () => ComputeThreads.ForUnits(0, Count, 64, 1 << 15, (b, e) => Nf4Quantizer.Quantize(x + b, packed, absmax, b, e)));
        var source = Nf4Source.Plain(packed, absmax, Count);
        Report("dequantize fp32 (output)", Count * 4,
            () => ComputeThreads.ForUnits(0, Count, 64, 1 << 15, (b, e) => Nf4Dequantizer.ToFloat(source, y + b, b, e)));
        Report("dequantize bf16 (output)", Count * 2,
            () => ComputeThreads.ForUnits(0, Count, 64, 1 << 15, (b, e) => Nf4Dequantizer.ToBFloat16(source, (ushort*)z + b, b, e)));
        Report("bf16 to fp32 (output)", Count * 4, () => ComputeThreads.For(0, Count, 1 << 16, (b, e) => BFloat16Bits.ToFloat((ushort*)z + b, y + b, e - b)));
        Report("NF4 times one row (codes)", Count / 2, () => ComputeThreads.For(0, 4096, 32, (b, e) => Nf4Dot.Run(source, 4096, x, 1, y, 4096, b, e)));
        Report("bf16 times one row", Count * 2, () => ComputeThreads.For(0, 4096, 32, (b, e) => DenseDot.BFloat16((ushort*)z, 4096, x, 1, y, 4096, b, e)));
        Report("SwiGLU forward (3 streams)", Count * 12, () => ComputeThreads.For(0, Count, 1 << 14, (b, e) => GatedUnit.Forward(Gate.Silu, x, y, z, b, e)));
        Report("SwiGLU backward (5 streams)", Count * 20,
            () => ComputeThreads.For(0, Count, 1 << 14, (b, e) => GatedUnit.Backward(Gate.Silu, x, y, z, w, z, b, e)));
        Report("RMSNorm forward (2 streams)", Count * 8, () => ComputeThreads.For(0, 4096, 4, (b, e) => RmsNorm.Forward(x, w, y, absmax, 4096, 1e-5f,
            0, b, e)));
        Report("AdamW (7 streams)", Count * 28, () => ComputeThreads.For(0, Count, 1 << 14,
            (b, e) => FlatAdamW.Step(x, y, z, w, b, e, new AdamWStep(1e-6, 0.9, 0.999, 1e-8, 0, 1, 2))));
        return 0;
    }

    private static void Report(string name, long bytes, Action body)
    {
        var best = double.MaxValue;
        for (var i = 0; i < 12; i++)
        {
            var start = Stopwatch.GetTimestamp();
            body();
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }
        Console.WriteLine($"{name,-30} {best * 1e3,8:0.00} ms {bytes / best / 1e9,8:0.0} GB/s");
    }

    private static float* Floats()
    {
        var memory = (float*)NativeMemory.AlignedAlloc((nuint)Count * 4, 64);
        NativeMemory.Clear(memory, (nuint)Count * 4);
        return memory;
    }
}
