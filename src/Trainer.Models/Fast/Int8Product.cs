using Trainer.Models.Native;
using Trainer.Numerics.Int8;

namespace Trainer.Models.Fast;

/// <summary>y = x W^T in 8 bits: rows of x and rows of W quantized to absmax, products summed in 32-bit integers, scales put back in fp32.</summary>
/// <remarks>An error of at most half a code in every factor: relative to |x| |w| about 1/254 each way before it averages out over k.</remarks>
internal sealed unsafe class Int8Product
{
    private readonly sbyte* _codes;
    private readonly float* _rowScales;
    private readonly sbyte* _panelCodes;
    private readonly float* _panelScales;
    private readonly int* _sums;

    /// <summary>Cuts the scratch.</summary>
    /// <param name="arena">Where from.</param>
    /// <param name="tokens">Most rows of x.</param>
    /// <param name="widest">Widest x.</param>
    /// <param name="panelRows">Most rows of W at a time.</param>
    /// <param name="panelFloats">Most elements of W at a time.</param>
    public Int8Product(Arena arena, long tokens, long widest, long panelRows, long panelFloats)
    {
        _codes = arena.Codes(tokens * widest);
        _rowScales = arena.Floats(tokens);
        _panelCodes = arena.Codes(panelFloats);
        _panelScales = arena.Floats(panelRows);
        _sums = arena.Ints(tokens * panelRows);
    }

    /// <summary>Quantizes x (rows, wide), dense, for the panels that follow.</summary>
    public void Input(float* x, long rows, long wide) => Quantize(x, rows, wide, _codes, _rowScales);

    /// <summary>y (rows, count) in rows of <paramref name="stride"/> from a panel of W in fp32.</summary>
    public void Panel(float* panel, long rows, long count, long wide, float factor, float* y, long stride)
    {
        Quantize(panel, count, wide, _panelCodes, _panelScales);
        Panel(_panelCodes, _panelScales, rows, count, wide, factor, y, stride);
    }

    /// <summary>The same from a panel that lies in 8 bits already.</summary>
    public void Panel(sbyte* codes, float* scales, long rows, long count, long wide, float factor, float* y, long stride)
    {
        NarrowGemm.Bytes(rows, count, wide, _codes, codes, _sums);
        var (sums, rowScales) = ((IntPtr)_sums, (IntPtr)_rowScales);
        TorchThreads.For(0, rows, 8, (begin, end) =>
        {
            for (var t = begin; t < end; t++) Int8Rows.Rescale((int*)sums + t * count, factor * ((float*)rowScales)[t], scales, y + t * stride, count);
        });
    }

    private static void Quantize(float* values, long rows, long wide, sbyte* codes, float* scales) => TorchThreads.For(0, rows, 8, (begin, end) =>
    {
        for (var r = begin; r < end; r++) scales[r] = Int8Rows.Quantize(values + r * wide, codes + r * wide, wide);
    });
}
