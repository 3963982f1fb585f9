using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Native;
using Trainer.Engine.Weights;
using Trainer.Numerics.Elementwise;
using Trainer.Numerics.Half;

namespace Trainer.Engine.Fast.Cpu;

/// <summary>Frozen products in bfloat16: both operands are rounded once, libtorch sums in float32 and rounds each panel's result once more.</summary>
/// <remarks>
/// Panels are written out straight in bfloat16, or used in place where the matrix lies so. The input gradient adds its panels up in float32.
/// Relative RMS error about 0.003 a product; no bias, since every rounding is to nearest.
/// </remarks>
internal sealed unsafe class BFloat16Product(PanelPlan panels) : IFrozenProduct
{
    private const long Grain = 1 << 14;
    private const int Chunk = 512;

    /// <summary>Scratch for T rows of activations: operands and result of one product, and a panel.</summary>
    public static IEnumerable<PassBuffer> Buffers(long tokens, IReadOnlyList<MatrixShape> matrices, long panelElements)
    {
        long Rows(MatrixShape matrix) => PanelPlan.RowsOf(matrix.Rows, matrix.Columns, tokens, panelElements);
        var room = NarrowGemm.PaddedRows(tokens) * matrices.Select(matrix => Math.Max(matrix.Columns, Rows(matrix))).DefaultIfEmpty().Max();
        yield return new(BufferUse.Scratch, new(BufferId.NarrowRows), room, sizeof(ushort));
        yield return new(BufferUse.Scratch, new(BufferId.NarrowResult), room, sizeof(ushort));
        yield return new(BufferUse.Scratch, new(BufferId.NarrowPanel),
            matrices.Select(matrix => matrix.Form == WeightForm.BFloat16 ? 0 : Rows(matrix) * matrix.Columns).DefaultIfEmpty().Max(), sizeof(ushort));
    }

    public void Forward(ProductRoom room, IFrozenWeight weight, float* x, long rows, float* y, long stride, float factor)
    {
        var wide = weight.Columns;
        ushort* left = room.Memory.At<ushort>(BufferId.NarrowRows), result = room.Memory.At<ushort>(BufferId.NarrowResult);
        Narrow(x, wide, rows, wide, left);
        foreach (var (begin, count) in panels.Parts(weight, panels.Rows(weight, room.Tokens)))
        {
            var panel = Panel(room.Memory, weight, begin, count);
            NarrowGemm.TimesTransposed(rows, count, wide, left, panel, result);
            Widen(result, rows, count, factor, y + begin, stride, add: false);
        }
        GC.KeepAlive(weight);
    }

    public void InputGradient(ProductRoom room, IFrozenWeight weight, float* dy, long stride, long rows, float* dx, bool add, float factor)
    {
        var wide = weight.Columns;
        ushort* left = room.Memory.At<ushort>(BufferId.NarrowRows), result = room.Memory.At<ushort>(BufferId.NarrowResult);
        foreach (var (begin, count) in panels.Parts(weight, panels.Rows(weight, room.Tokens)))
        {
            var panel = Panel(room.Memory, weight, begin, count);
            // A panel meets columns of dy that no other does: each is rounded once.
            Narrow(dy + begin, stride, rows, count, left);
            NarrowGemm.Times(rows, wide, count, left, panel, result);
            Widen(result, rows, wide, factor, dx, wide, add || begin > 0);
        }
        GC.KeepAlive(weight);
    }

    private static bool IsStored(IFrozenWeight weight) => weight is DenseWeight { Form: WeightForm.BFloat16 };

    private static ushort* Panel(HostBuffers memory, IFrozenWeight weight, long begin, long count)
    {
        if (IsStored(weight)) return (ushort*)TorchMemory.Pointer(((DenseWeight)weight).Stored) + begin * weight.Columns;
        var panel = memory.At<ushort>(BufferId.NarrowPanel);
        weight.MaterializeBFloat16(begin, count, panel);
        return panel;
    }

    private static void Narrow(float* from, long stride, long rows, long width, ushort* target)
    {
        ComputeThreads.For(0, rows, Math.Max(1, Grain / width), (first, last) =>
        {
            for (var t = first; t < last; t++) BFloat16Bits.FromFloat(from + t * stride, target + t * width, width);
        });
    }

    private static void Widen(ushort* result, long rows, long width, float factor, float* target, long stride, bool add)
    {
        ComputeThreads.For(0, rows, Math.Max(1, Grain / width), (first, last) =>
        {
            for (var t = first; t < last; t++)
            {
                var from = result + t * width;
                var to = target + t * stride;
                if (!add && factor == 1f)
                {
                    BFloat16Bits.ToFloat(from, to, width);
                    continue;
                }
                if (!add) new Span<float>(to, (int)width).Clear();
                Add(from, factor, to, width);
            }
        });
    }

    private static void Add(ushort* from, float factor, float* to, long count)
    {
        var values = stackalloc float[Chunk];
        for (long at = 0; at < count; at += Chunk)
        {
            var size = Math.Min(Chunk, count - at);
            BFloat16Bits.ToFloat(from + at, values, size);
            Arithmetic.AddScaled(to + at, values, factor, to + at, 0, size);
        }
    }
}
