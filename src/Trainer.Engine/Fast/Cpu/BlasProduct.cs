using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Native;
using Trainer.Engine.Weights;

namespace Trainer.Engine.Fast.Cpu;

/// <summary>Frozen products in float32 by BLAS, for processors that <see cref="TiledProduct"/> is not for: W is written out in panels of rows into one scratch,
/// in both directions, and never kept; a matrix that lies in float32 is used in place.</summary>
internal sealed unsafe class BlasProduct(PanelPlan panels) : IFrozenProduct
{
    /// <summary>Scratch for T rows of activations.</summary>
    public static IEnumerable<PassBuffer> Buffers(long tokens, IReadOnlyList<MatrixShape> matrices, long panelElements)
    {
        long Panel(MatrixShape matrix) => matrix.Form == WeightForm.Float32
            ? 0 : PanelPlan.RowsOf(matrix.Rows, matrix.Columns, tokens, panelElements) * matrix.Columns;
        yield return new(BufferUse.Scratch, new(BufferId.Panel), matrices.Select(Panel).DefaultIfEmpty().Max());
    }

    public void Forward(ProductRoom room, IFrozenWeight weight, float* x, long rows, float* y, long stride, float factor)
    {
        var wide = weight.Columns;
        foreach (var (begin, count) in Parts(room, weight))
        {
            var panel = Panel(room, weight, begin, count);
            Gemm.TimesTransposed(rows, count, wide, factor, x, wide, panel, wide, 0f, y + begin, stride);
        }
    }

    public void InputGradient(ProductRoom room, IFrozenWeight weight, float* dy, long stride, long rows, float* dx, bool add, float factor)
    {
        var wide = weight.Columns;
        foreach (var (begin, count) in Parts(room, weight))
        {
            var panel = Panel(room, weight, begin, count);
            Gemm.Times(rows, wide, count, factor, dy + begin, stride, panel, wide, add || begin > 0 ? 1f : 0f, dx, wide);
        }
    }

    private IEnumerable<(long Begin, long Count)> Parts(ProductRoom room, IFrozenWeight weight)
        => panels.Parts(weight, weight.Resident is null ? panels.Rows(weight, room.Tokens) : weight.Rows);

    private static float* Panel(ProductRoom room, IFrozenWeight weight, long begin, long count)
    {
        if (weight.Resident is { } resident) return TorchMemory.Pointer(resident) + begin * weight.Columns;
        var panel = room.Memory.Floats(BufferId.Panel);
        weight.Materialize(begin, count, panel);
        return panel;
    }
}
