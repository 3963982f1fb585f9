using Trainer.Engine.Native;
using Trainer.Numerics.Elementwise;
using Trainer.Numerics.Int8;

namespace Trainer.Engine.Fast;

/// <summary>Frozen products in 8 bits: rows of the activations and rows of W quantized to their absmax, summed exactly in 32-bit integers, scales put back in float32.</summary>
/// <remarks>
/// In dx = dy W the scales of W's rows lie along the sum, so they are multiplied into dy before its rows are quantized, a panel at a time; the panels are added up in float32.
/// An error of at most half a code in every factor; relative RMS error about 0.01 a product on normal values, more where a row has outliers.
/// </remarks>
internal sealed unsafe class Int8Product(StepMeter meter, PanelPlan panels) : IFrozenProduct
{
    private const int Chunk = 512;
    private sbyte* _codes;
    private float* _scales;
    private float* _panel;
    private sbyte* _panelCodes;
    private float* _panelScales;
    private int* _sums;
    private long _tokens;

    public void Allocate(Arena arena, long tokens, IReadOnlyList<IFrozenWeight> weights)
    {
        _tokens = tokens;
        long Most(Func<IFrozenWeight, long> size) => weights.Select(size).DefaultIfEmpty().Max();
        var rows = Most(weight => panels.Rows(weight, tokens));
        var widest = Most(weight => Math.Max(weight.Columns, panels.Rows(weight, tokens)));
        var room = NarrowGemm.PaddedRows(tokens) * widest;
        _codes = arena.Codes(room);
        _scales = arena.Floats(tokens);
        _panel = arena.Floats(Most(weight => weight is Int8Weight || weight.Resident is not null ? 0 : panels.Rows(weight, tokens) * weight.Columns));
        _panelCodes = arena.Codes(Most(weight => weight is Int8Weight ? 0 : panels.Rows(weight, tokens) * weight.Columns));
        _panelScales = arena.Floats(rows);
        _sums = arena.Ints(room);
    }

    public void Forward(IFrozenWeight weight, float* x, long rows, float* y, long stride, float factor, StepPart part)
    {
        var wide = weight.Columns;
        var start = StepMeter.Now;
        Quantize(x, rows, wide, _codes, _scales);
        meter.Add(part, start);
        foreach (var (begin, count) in panels.Parts(weight, panels.Rows(weight, _tokens)))
        {
            Panel(weight, begin, count, out var codes, out var scales);
            start = StepMeter.Now;
            NarrowGemm.TimesTransposed(rows, count, wide, _codes, codes, _sums);
            int* sums = _sums;
            float* rowScales = _scales, target = y + begin;
            TorchThreads.For(0, rows, 8, (first, last) =>
            {
                for (var t = first; t < last; t++) Int8Rows.Rescale(sums + t * count, factor * rowScales[t], scales, target + t * stride, count);
            });
            meter.Add(part, start, 2.0 * rows * count * wide);
        }
        GC.KeepAlive(weight);
    }

    public void InputGradient(IFrozenWeight weight, float* dy, long stride, long rows, float* dx, bool add, float factor, StepPart part)
    {
        var wide = weight.Columns;
        foreach (var (begin, count) in panels.Parts(weight, panels.Rows(weight, _tokens)))
        {
            Panel(weight, begin, count, out var codes, out var scales);
            var start = StepMeter.Now;
            QuantizeScaled(dy + begin, stride, rows, count, scales);
            NarrowGemm.Times(rows, wide, count, _codes, codes, _sums);
            Widen(rows, wide, factor, dx, add || begin > 0);
            meter.Add(part, start, 2.0 * rows * count * wide);
        }
        GC.KeepAlive(weight);
    }

    private void Panel(IFrozenWeight weight, long begin, long count, out sbyte* codes, out float* scales)
    {
        var wide = weight.Columns;
        if (weight is Int8Weight bytes)
        {
            codes = bytes.Codes + begin * wide;
            scales = bytes.Scales + begin;
            return;
        }
        codes = _panelCodes;
        scales = _panelScales;
        var start = StepMeter.Now;
        var panel = weight.Resident is { } resident ? TorchMemory.Pointer(resident) + begin * wide : _panel;
        if (panel == _panel) weight.Materialize(begin, count, panel);
        Quantize(panel, count, wide, codes, scales);
        meter.Add(StepPart.Materialize, start);
    }

    private static void Quantize(float* values, long rows, long wide, sbyte* codes, float* scales) => TorchThreads.For(0, rows, 8, (first, last) =>
    {
        for (var r = first; r < last; r++) scales[r] = Int8Rows.Quantize(values + r * wide, codes + r * wide, wide);
    });

    private void QuantizeScaled(float* dy, long stride, long rows, long count, float* columns)
    {
        // The sums are not there yet: their room holds the scaled rows.
        float* scaled = (float*)_sums, scales = _scales;
        var codes = _codes;
        TorchThreads.For(0, rows, 8, (first, last) =>
        {
            for (var t = first; t < last; t++)
            {
                var row = scaled + t * count;
                Arithmetic.Product(dy + t * stride, columns, row, 0, count);
                scales[t] = Int8Rows.Quantize(row, codes + t * count, count);
            }
        });
    }

    private void Widen(long rows, long wide, float factor, float* dx, bool add)
    {
        int* sums = _sums;
        float* scales = _scales;
        TorchThreads.For(0, rows, 8, (first, last) =>
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
