using Trainer.Models.Native;
using Trainer.Numerics.Elementwise;

namespace Trainer.Models.Fast;

/// <summary>One decoder layer by hand: forward, and backward from what <see cref="LayerState"/> keeps.</summary>
/// <remarks>
/// <code>
/// n1 = norm(x);  q, k, v = n1 W (turned);  a = attention(q, k, v);  h = x + m (a Wo)
/// n2 = norm(h);  g, u = n2 W;  out = h + m ((act(g) u) Wd)            m: residual multiplier
/// </code>
/// Where only some rows of the output are needed (the last layer: rows that carry loss), queries, attention output and all that follows are
/// computed for these rows; keys and values for all.
/// </remarks>
internal sealed unsafe partial class FastLayer(CausalModel model, FastShape shape, FastLinear linear, BlockAttention attention, StepMeter meter)
{
    private const long Grain = 1 << 14;
    private readonly bool _headNorms = shape.HeadNorms;

    /// <summary>The batch of this pass.</summary>
    public FastBatch Batch { get; set; } = null!;

    /// <summary>The memory of this pass.</summary>
    public FastBuffers Buffers { get; set; } = null!;

    /// <summary>Computes the layer.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="x">(T, hidden).</param>
    /// <param name="output">(T, hidden), or (rows, hidden); null leaves the last product out: all that a recomputation needs.</param>
    /// <param name="subset">Compute only rows that carry loss.</param>
    public void Forward(DecoderLayer layer, float* x, float* output, bool subset)
    {
        var (state, buffers) = (Buffers.State(layer.Index), Buffers);
        long tokens = Batch.Tokens, rows = subset ? Batch.LossCount : tokens;
        var normed = buffers.Normed;
        Norm(layer.BeforeAttention!, x, normed, state.FirstInverse, tokens);
        Projections(layer, state, normed, tokens, subset);
        Turn(layer, state.Query, state.Key, false);
        attention.Forward(state, Batch.Batch.SegmentStarts, layer.Config.SlidingWindow);
        float* attended = state.Attended, residual = x;
        if (subset)
        {
            var start = StepMeter.Now;
            Rows.Gather(state.Attended, Batch.LossRows, rows, shape.Query, buffers.RowAttended);
            Rows.Gather(x, Batch.LossRows, rows, shape.Hidden, buffers.RowInput);
            meter.Add(StepPart.Elementwise, start);
            attended = buffers.RowAttended;
            residual = buffers.RowInput;
        }
        linear.Forward(layer.Output, attended, rows, buffers.Delta, shape.Hidden, state.LowOf(Slot.Output));
        AddNorm(layer.BeforeMlp!, residual, buffers.Delta, state.Middle, normed, state.SecondInverse, rows);
        if (layer.GateUp is { } fused)
        {
            linear.Forward(fused, normed, rows, state.Gate, shape.GateStride, state.LowOf(Slot.GateUp));
        }
        else
        {
            linear.Forward(layer.Gate!, normed, rows, state.Gate, shape.GateStride, state.LowOf(Slot.Gate));
            linear.Forward(layer.Up!, normed, rows, state.Up, shape.GateStride, state.LowOf(Slot.Up));
        }
        Activate(state, rows);
        if (output == null)
        {
            linear.Low(layer.Down, buffers.Activated, rows, state.LowOf(Slot.Down));
            return;
        }
        linear.Forward(layer.Down, buffers.Activated, rows, buffers.Delta, shape.Hidden, state.LowOf(Slot.Down));
        var begun = StepMeter.Now;
        AddScaled(state.Middle, buffers.Delta, shape.ResidualMultiplier, output, rows * shape.Hidden);
        meter.Add(StepPart.Elementwise, begun);
    }

    private void Projections(DecoderLayer layer, LayerState state, float* normed, long tokens, bool subset)
    {
        if (layer.Qkv is { } fused)
        {
            linear.Forward(fused, normed, tokens, state.Query, shape.QueryStride, state.LowOf(Slot.Qkv));
            return;
        }
        var query = _headNorms ? state.RawQuery : state.Query;
        var key = _headNorms ? state.RawKey : state.Key;
        if (subset)
        {
            var start = StepMeter.Now;
            long rows = Batch.LossCount;
            Rows.Gather(normed, Batch.LossRows, rows, shape.Hidden, Buffers.RowNormed);
            meter.Add(StepPart.Elementwise, start);
            linear.Forward(layer.Query!, Buffers.RowNormed, rows, Buffers.RowQuery, shape.Query, state.LowOf(Slot.Query));
            // Rows nobody asks for become zero queries: harmless, and without effect on the gradient.
            Rows.Scatter(Buffers.RowQuery, Batch.LossRows, rows, shape.Query, query, tokens);
        }
        else
        {
            linear.Forward(layer.Query!, normed, tokens, query, shape.Query, state.LowOf(Slot.Query));
        }
        linear.Forward(layer.Key!, normed, tokens, key, shape.Kv, state.LowOf(Slot.Key));
        linear.Forward(layer.Value!, normed, tokens, state.Value, shape.Kv, state.LowOf(Slot.Value));
        if (!_headNorms) return;
        var begun = StepMeter.Now;
        NormRows(layer.QueryNorm!, state.RawQuery, state.Query, state.QueryInverse, shape.HeadSize, tokens * shape.Heads);
        NormRows(layer.KeyNorm!, state.RawKey, state.Key, state.KeyInverse, shape.HeadSize, tokens * shape.KvHeads);
        meter.Add(StepPart.Elementwise, begun);
    }

    private void Turn(DecoderLayer layer, float* query, float* key, bool inverse)
    {
        if (layer.Config.Rope < 0) return;
        var start = StepMeter.Now;
        float* cos = Batch.Cos(layer.Config.Rope), sin = Batch.Sin(layer.Config.Rope);
        var half = model.Config.Ropes[layer.Config.Rope].Dimensions / 2;
        var positions = Batch.Positions;
        TorchThreads.For(0, Batch.Tokens, 16, (begin, end) =>
        {
            Rotary.Turn(query, cos, sin, positions, shape.QueryStride, shape.Heads, shape.HeadSize, half, inverse, begin, end);
            Rotary.Turn(key, cos, sin, positions, shape.KvStride, shape.KvHeads, shape.HeadSize, half, inverse, begin, end);
        });
        meter.Add(StepPart.Elementwise, start);
    }

    private void Activate(LayerState state, long rows)
    {
        var start = StepMeter.Now;
        var (wide, stride) = (shape.Wide, (long)shape.GateStride);
        float* gate = state.Gate, up = state.Up, target = Buffers.Activated;
        TorchThreads.For(0, rows, Math.Max(1, Grain / wide), (begin, end) =>
        {
            for (var t = begin; t < end; t++) GatedUnit.Forward(shape.Gate, gate + t * stride, up + t * stride, target + t * wide, 0, wide);
        });
        meter.Add(StepPart.Elementwise, start);
    }

    private void Norm(NormModule norm, float* x, float* y, float* inverse, long rows)
    {
        var start = StepMeter.Now;
        NormRows(norm, x, y, inverse, shape.Hidden, rows);
        meter.Add(StepPart.Elementwise, start);
    }

    private void NormRows(NormModule norm, float* x, float* y, float* inverse, int width, long rows)
    {
        var weight = TorchMemory.Pointer(norm.Weight);
        TorchThreads.For(0, rows, Math.Max(1, Grain / width), (begin, end) => RmsNorm.Forward(x, weight, y, inverse, width, shape.Epsilon, shape.UnitOffset, begin, end));
    }

    private void AddNorm(NormModule norm, float* x, float* delta, float* sum, float* y, float* inverse, long rows)
    {
        var start = StepMeter.Now;
        var weight = TorchMemory.Pointer(norm.Weight);
        TorchThreads.For(0, rows, Math.Max(1, Grain / shape.Hidden), (begin, end) => RmsNorm.AddForward(
            x, delta, shape.ResidualMultiplier, sum, weight, y, inverse, shape.Hidden, shape.Epsilon, shape.UnitOffset, begin, end));
        meter.Add(StepPart.Elementwise, start);
    }

    private static void AddScaled(float* a, float* b, float scale, float* sum, long count)
        => TorchThreads.For(0, count, Grain, (begin, end) => Arithmetic.AddScaled(a, b, scale, sum, begin, end));
}
