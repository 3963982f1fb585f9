using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Native;
using Trainer.Engine.Weights;
using Trainer.Numerics.Elementwise;
using Trainer.Numerics.Int8;

namespace Trainer.Engine.Fast.Cpu;

/// <summary>Frozen products in 8 bits: rows of the activations and rows of W quantized to their absmax, summed exactly in 32-bit integers, scales put back in
/// float32.</summary>
/// <remarks>
/// In dx = dy W the scales of W's rows lie along the sum, so they are multiplied into dy before its rows are quantized, a panel at a time; the panels are added
/// up in float32.
/// An error of at most half a code in every factor; relative RMS error about 0.01 a product on normal values, more where a row has outliers.
/// </remarks>
internal sealed unsafe class Int8Product(PanelPlan panels) : IFrozenProduct
{
    private const int Chunk = 512;

    /// <summary>Scratch for T rows of activations: codes and sums of one product, and a panel with its codes where the matrix does not lie so.</summary>
    public static IEnumerable<PassBuffer> Buffers(long tokens, IReadOnlyList<MatrixShape> matrices, long panelElements)
    {
        long Most(Func<MatrixShape, long> size) => matrices.Select(size).DefaultIfEmpty().Max();
        long Rows(MatrixShape matrix) => PanelPlan.RowsOf(matrix.Rows, matrix.Columns, tokens, panelElements);
        var room = NarrowGemm.PaddedRows(tokens) * Most(matrix => Math.Max(matrix.Columns, Rows(matrix)));
        yield return new(BufferUse.Scratch, new(BufferId.Codes), room, sizeof(sbyte));
        yield return new(BufferUse.Scratch, new(BufferId.CodeScales), tokens);
        yield return new(BufferUse.Scratch, new(BufferId.CodePanel), Most(matrix => matrix.Form is WeightForm.Int8 or WeightForm.Float32
            ? 0 : Rows(matrix) * matrix.Columns));
        yield return new(BufferUse.Scratch, new(BufferId.PanelCodes), Most(matrix => matrix.Form is WeightForm.Int8 ? 0 : Rows(matrix) * matrix.Columns),
            sizeof(sbyte));
        yield return new(BufferUse.Scratch, new(BufferId.PanelScales), Most(Rows));
        yield return new(BufferUse.Scratch, new(BufferId.CodeSums), room, sizeof(int));
    }

    public void Forward(ProductRoom room, IFrozenWeight weight, float* x, long rows, float* y, long stride, float factor)
    {
        var wide = weight.Columns;
        var left = room.Memory.At<sbyte>(BufferId.Codes);
        var sums = room.Memory.At<int>(BufferId.CodeSums);
        Quantize(x, rows, wide, left, room.Memory.Floats(BufferId.CodeScales));
        foreach (var (begin, count) in panels.Parts(weight, panels.Rows(weight, room.Tokens)))
        {
            Panel(room.Memory, weight, begin, count, out var codes, out var scales);
            NarrowGemm.TimesTransposed(rows, count, wide, left, codes, sums);
            float* rowScales = room.Memory.Floats(BufferId.CodeScales), target = y + begin;
            ComputeThreads.For(0, rows, 8, (first, last) =>
            {
                for (var t = first; t < last; t++) Int8Rows.Rescale(sums + t * count, factor * rowScales[t], scales, target + t * stride, count);
            });
        }
        GC.KeepAlive(weight);
    }

    public void InputGradient(ProductRoom room, IFrozenWeight weight, float* dy, long stride, long rows, float* dx, bool add, float factor)
    {
        var wide = weight.Columns;
        foreach (var (begin, count) in panels.Parts(weight, panels.Rows(weight, room.Tokens)))
        {
            Panel(room.Memory, weight, begin, count, out var codes, out var scales);
            QuantizeScaled(room.Memory, dy + begin, stride, rows, count, scales);
            NarrowGemm.Times(rows, wide, count, room.Memory.At<sbyte>(BufferId.Codes), codes, room.Memory.At<int>(BufferId.CodeSums));
            Widen(room.Memory, rows, wide, factor, dx, add || begin > 0);
        }
        GC.KeepAlive(weight);
    }

    private static void Panel(HostBuffers memory, IFrozenWeight weight, long begin, long count, out sbyte* codes, out float* scales)
    {
        var wide = weight.Columns;
        if (weight is Int8Weight bytes)
        {
            codes = bytes.Codes + begin * wide;
            scales = bytes.Scales + begin;
            return;
        }
        codes = memory.At<sbyte>(BufferId.PanelCodes);
        scales = memory.Floats(BufferId.PanelScales);
        var panel = weight.Resident is { } resident ? TorchMemory.Pointer(resident) + begin * wide : memory.Floats(BufferId.CodePanel);
        if (weight.Resident is null) weight.Materialize(begin, count, panel);
        Quantize(panel, count, wide, codes, scales);
    }

    private static void Quantize(float* values, long rows, long wide, sbyte* codes, float* scales) => ComputeThreads.For(0, rows, 8, (first, last) =>
    {
        for (var r = first; r < last; r++) scales[r] = Int8Rows.Quantize(values + r * wide, codes + r * wide, wide);
    });

    private static void QuantizeScaled(HostBuffers memory, float* dy, long stride, long rows, long count, float* columns)
    {
        // The sums are not there yet: their room holds the scaled rows.
        float* scaled = memory.Floats(BufferId.CodeSums), scales = memory.Floats(BufferId.CodeScales);
        var codes = memory.At<sbyte>(BufferId.Codes);
        ComputeThreads.For(0, rows, 8, (first, last) =>
        {
            for (var t = first; t < last; t++)
            {
                var row = scaled + t * count;
                Arithmetic.Product(dy + t * stride, columns, row, 0, count);
                scales[t] = Int8Rows.Quantize(row, codes + t * count, count);
            }
        });
    }

    private static void Widen(HostBuffers memory, long rows, long wide, float factor, float* dx, bool add)
    {
        var sums = memory.At<int>(BufferId.CodeSums);
        var scales = memory.Floats(BufferId.CodeScales);
        ComputeThreads.For(0, rows, 8, (first, last) =>
        {
            float* ones = stackalloc float[Chunk], values = stackalloc float[Chunk];
            new Span<float>(ones, Chunk).Fill(1f);
            for (var t = first; t < last; t++)
            {
                var scale = factor * scales[t];
                for (long at = 0; at < wide; at += Chunk)
                {
                    var size = Math.Min(Chunk, wide - at);
                    var target = dx + t * wide + at;
                    Int8Rows.Rescale(sums + t * wide + at, scale, ones, add ? values : target, size);
                    if (add) Arithmetic.AddScaled(target, values, 1f, target, 0, size);
                }
            }
        });
    }
}
