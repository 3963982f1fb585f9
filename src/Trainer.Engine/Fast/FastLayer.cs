using Trainer.Engine.Native;
using Trainer.Numerics.Elementwise;

namespace Trainer.Engine.Fast;

/// <summary>One decoder layer by hand: forward, and backward from what <see cref="LayerState"/> keeps.</summary>
/// <remarks>
/// <code>
/// n1 = norm(x);  q, k, v = n1 W (turned);  a = attention(q, k, v);  h = x + m norm(a Wo)
/// n2 = norm(h);  g, u = n2 W;  out = h + m norm((act(g) u) Wd)        m: residual multiplier
/// </code>
/// Each norm is there or not, as the family has it: before the blocks, after them, or both.
/// Where only some rows of the output are needed (the last layer: rows that carry loss), queries, attention output and all that follows are
/// computed for these rows; keys and values for all.
/// </remarks>
internal sealed unsafe partial class FastLayer(CausalModel model, FastShape shape, FastLinear linear, FastNorm norms, BlockAttention attention, StepMeter meter)
{
    private const long Grain = 1 << 14;

    /// <summary>Computes the layer.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="x">(T, hidden).</param>
    /// <param name="output">(T, hidden), or (rows, hidden); null leaves the last product out: all that a recomputation needs.</param>
    /// <param name="subset">Compute only rows that carry loss.</param>
    public void Forward(FastPass pass, DecoderLayer layer, float* x, float* output, bool subset)
    {
        var (state, buffers) = (pass.State(layer.Index), pass.Buffers);
        long tokens = pass.Batch.Tokens, rows = subset ? pass.Batch.LossCount : tokens;
        Projections(pass, layer, state, Normed(pass, layer.BeforeAttention, x, state.FirstInverse, tokens), tokens, subset);
        Turn(pass, layer, state.Query, state.Key, false);
        if (pass.Past is { } past) attention.Continue(pass, state, layer.Config.SlidingWindow, past, layer.Index);
        else attention.Forward(pass, state, layer.Config.SlidingWindow);
        float* attended = state.Attended, residual = x;
        if (subset)
        {
            var start = StepMeter.Now;
            Rows.Gather(state.Attended, pass.Batch.LossRows, rows, shape.Query, buffers.RowAttended);
            Rows.Gather(x, pass.Batch.LossRows, rows, shape.Hidden, buffers.RowInput);
            meter.Add(StepPart.Elementwise, start);
            attended = buffers.RowAttended;
            residual = buffers.RowInput;
        }
        Addend(pass, layer.Output, layer.AfterAttention, attended, rows, state.RawAttention, state.AttentionInverse, state.Of(ModuleRole.Output));
        var input = AddNormed(pass, layer.BeforeMlp, residual, state.Middle, state.SecondInverse, rows);
        if (layer.GateUp is { } fused)
        {
            linear.Forward(pass, fused, input, rows, state.Gate, shape.GateStride, state.Of(ModuleRole.GateUp));
        }
        else
        {
            linear.Forward(pass, layer.Gate!, input, rows, state.Gate, shape.GateStride, state.Of(ModuleRole.Gate));
            linear.Forward(pass, layer.Up!, input, rows, state.Up, shape.GateStride, state.Of(ModuleRole.Up));
        }
        Activate(pass, state, rows);
        if (output == null && layer.AfterMlp is null)
        {
            linear.Keep(pass, layer.Down, buffers.Activated, rows, state.Of(ModuleRole.Down));
            return;
        }
        Addend(pass, layer.Down, layer.AfterMlp, buffers.Activated, rows, state.RawMlp, state.MlpInverse, state.Of(ModuleRole.Down));
        if (output == null) return;
        var begun = StepMeter.Now;
        AddScaled(state.Middle, buffers.Delta, shape.ResidualMultiplier, output, rows * shape.Hidden);
        meter.Add(StepPart.Elementwise, begun);
    }

    private void Projections(FastPass pass, DecoderLayer layer, LayerState state, float* normed, long tokens, bool subset)
    {
        if (layer.Qkv is { } fused)
        {
            linear.Forward(pass, fused, normed, tokens, state.Query, shape.QueryStride, state.Of(ModuleRole.Qkv));
            return;
        }
        var query = shape.QueryNorms ? state.RawQuery : state.Query;
        var key = shape.QueryNorms ? state.RawKey : state.Key;
        if (subset)
        {
            var start = StepMeter.Now;
            long rows = pass.Batch.LossCount;
            Rows.Gather(normed, pass.Batch.LossRows, rows, shape.Hidden, pass.Buffers.RowNormed);
            meter.Add(StepPart.Elementwise, start);
            linear.Forward(pass, layer.Query!, pass.Buffers.RowNormed, rows, pass.Buffers.RowQuery, shape.Query, state.Of(ModuleRole.Query));
            // Rows nobody asks for become zero queries: harmless, and without effect on the gradient.
            Rows.Scatter(pass.Buffers.RowQuery, pass.Batch.LossRows, rows, shape.Query, query, tokens);
        }
        else
        {
            linear.Forward(pass, layer.Query!, normed, tokens, query, shape.Query, state.Of(ModuleRole.Query));
        }
        linear.Forward(pass, layer.Key!, normed, tokens, key, shape.Kv, state.Of(ModuleRole.Key));
        linear.Forward(pass, layer.Value!, normed, tokens, state.Value, shape.Kv, state.Of(ModuleRole.Value));
        if (!shape.QueryNorms) return;
        var begun = StepMeter.Now;
        norms.Forward(layer.QueryNorm!, state.RawQuery, state.Query, state.QueryInverse, shape.QueryNormWidth, tokens * shape.Query / shape.QueryNormWidth);
        norms.Forward(layer.KeyNorm!, state.RawKey, state.Key, state.KeyInverse, shape.KeyNormWidth, tokens * shape.Kv / shape.KeyNormWidth);
        meter.Add(StepPart.Elementwise, begun);
    }

    private void Turn(FastPass pass, DecoderLayer layer, float* query, float* key, bool inverse)
    {
        if (layer.Config.Rope < 0) return;
        var start = StepMeter.Now;
        float* cos = pass.Batch.Cos(layer.Config.Rope), sin = pass.Batch.Sin(layer.Config.Rope);
        var half = model.Config.Ropes[layer.Config.Rope].Dimensions / 2;
        var positions = pass.Batch.Positions;
        TorchThreads.For(0, pass.Batch.Tokens, 16, (begin, end) =>
        {
            Rotary.Turn(query, cos, sin, positions, shape.QueryStride, shape.Heads, shape.HeadSize, half, inverse, begin, end);
            Rotary.Turn(key, cos, sin, positions, shape.KvStride, shape.KvHeads, shape.HeadSize, half, inverse, begin, end);
        });
        meter.Add(StepPart.Elementwise, start);
    }

    private void Activate(FastPass pass, LayerState state, long rows)
    {
        var start = StepMeter.Now;
        var (wide, stride) = (shape.Wide, (long)shape.GateStride);
        float* gate = state.Gate, up = state.Up, target = pass.Buffers.Activated;
        TorchThreads.For(0, rows, Math.Max(1, Grain / wide), (begin, end) =>
        {
            for (var t = begin; t < end; t++) GatedUnit.Forward(shape.Gate, gate + t * stride, up + t * stride, target + t * wide, 0, wide);
        });
        meter.Add(StepPart.Elementwise, start);
    }

    // What a block adds to the stream, into Delta: its last product, normed where the family does so; the backward pass of that norm needs the product itself.
    private void Addend(FastPass pass, LinearModule last, NormModule? after, float* x, long rows, float* raw, float* inverse, AdapterState kept)
    {
        linear.Forward(pass, last, x, rows, after is null ? pass.Buffers.Delta : raw, shape.Hidden, kept);
        if (after is null) return;
        var start = StepMeter.Now;
        norms.Forward(after, raw, pass.Buffers.Delta, inverse, shape.Hidden, rows);
        meter.Add(StepPart.Elementwise, start);
    }

    // A block's input: x, or its norm.
    private float* Normed(FastPass pass, NormModule? norm, float* x, float* inverse, long rows)
    {
        if (norm is null) return x;
        var start = StepMeter.Now;
        norms.Forward(norm, x, pass.Buffers.Normed, inverse, shape.Hidden, rows);
        meter.Add(StepPart.Elementwise, start);
        return pass.Buffers.Normed;
    }

    // sum = x + m Delta; the next block's input: sum, or its norm in the same pass over memory.
    private float* AddNormed(FastPass pass, NormModule? norm, float* x, float* sum, float* inverse, long rows)
    {
        var start = StepMeter.Now;
        float* delta = pass.Buffers.Delta, y = norm is null ? sum : pass.Buffers.Normed;
        if (norm is null) AddScaled(x, delta, shape.ResidualMultiplier, sum, rows * shape.Hidden);
        else norms.AddForward(norm, x, delta, sum, y, inverse, rows);
        meter.Add(StepPart.Elementwise, start);
        return y;
    }

    private static void AddScaled(float* a, float* b, float scale, float* sum, long count)
        => TorchThreads.For(0, count, Grain, (begin, end) => Arithmetic.AddScaled(a, b, scale, sum, begin, end));
}
