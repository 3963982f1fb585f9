using System.Buffers;
using Trainer.Engine.Native;
using Trainer.Numerics;
using Trainer.Numerics.Dot;
using Trainer.Numerics.Nf4;

namespace Trainer.Engine.Weights;

/// <summary>y = x W^T where x has so few rows that writing W out as float32 would cost more than the product: decoding reads W once, as it is stored.</summary>
internal static unsafe class FewRows
{
    private const long Grain = 1 << 17;
    private const int Alignment = 16;

    /// <summary>Whether a product can be made here and is the quicker way; any other is made panel by panel, where BLAS makes up for the writing.</summary>
    public static bool Takes(IFrozenWeight weight, long rows) => weight switch
    {
        Nf4Weight => rows <= 16 && Nf4Dot.Takes(weight.Columns),
        DenseWeight { Form: WeightForm.BFloat16 } or Int8Weight => rows <= 8,
        // Nothing to write out: BLAS is as quick from a few rows on.
        DenseWeight { Form: WeightForm.Float32 } => rows <= 2,
        _ => false,
    };

    /// <summary>The same for as many texts as are usually continued together: four rows at a time read their matrix once more than one does, and BLAS would
    /// have it written out first.</summary>
    public static bool TakesOfTexts(IFrozenWeight weight, long rows) =>
        Takes(weight, rows) || (rows <= 32 && Kernels.Width == KernelWidth.Vector512
        && weight is DenseWeight { Form: WeightForm.BFloat16 } or Int8Weight or DenseWeight { Form: WeightForm.Float32 });

    /// <summary>Writes x W^T.</summary>
    /// <param name="weight">W, (out, in), a form that <see cref="Takes"/> admits.</param>
    /// <param name="x">(rows, in).</param>
    /// <param name="rows">At least 1.</param>
    /// <param name="y">(rows, out) in rows of <paramref name="stride"/> floats.</param>
    /// <param name="stride">Floats from one row of y to the next.</param>
    public static void Product(IFrozenWeight weight, float* x, long rows, float* y, long stride)
    {
        var (wide, count, grain) = (weight.Columns, (int)rows, Math.Max(1, Grain / weight.Columns));
        switch (weight)
        {
            case Nf4Weight nf4:
                Quantized(nf4.Source, wide, x, count, y, stride, weight.Rows, grain);
                break;
            case Int8Weight int8:
                ComputeThreads.For(0, weight.Rows, grain, (begin, end) => DenseDot.Int8(int8.Codes, int8.Scales, wide, x, count, y, stride, begin, end));
                break;
            case DenseWeight { Resident: { } resident }:
                var values = TorchMemory.Pointer(resident);
                ComputeThreads.For(0, weight.Rows, grain, (begin, end) => DenseDot.Float(values, wide, wide, x, count, y, stride, begin, end));
                break;
            case DenseWeight dense:
                var bits = (ushort*)TorchMemory.Pointer(dense.Stored);
                ComputeThreads.For(0, weight.Rows, grain, (begin, end) => DenseDot.BFloat16(bits, wide, x, count, y, stride, begin, end));
                break;
        }
        GC.KeepAlive(weight);
    }

    private static void Quantized(Nf4Source source, long wide, float* x, int count, float* y, long stride, long rows, long grain)
    {
        var length = count * wide;
        var pooled = ArrayPool<float>.Shared.Rent(checked((int)length + Alignment));
        fixed (float* room = pooled)
        {
            var arranged = (float*)(((nuint)room + 63) & ~(nuint)63);
            Nf4Dot.Arrange(x, arranged, length);
            ComputeThreads.For(0, rows, grain, (begin, end) => Nf4Dot.Run(source, wide, arranged, count, y, stride, begin, end));
        }
        ArrayPool<float>.Shared.Return(pooled);
    }
}
