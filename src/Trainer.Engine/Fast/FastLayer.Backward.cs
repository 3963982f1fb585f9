using System.Runtime.InteropServices;
using Trainer.Engine.Native;
using Trainer.Numerics.Elementwise;

namespace Trainer.Engine.Fast;

internal sealed unsafe partial class FastLayer
{
    /// <summary>
    /// The layer's gradients from its kept state: parameters' into the flat buffer, the input's over <see cref="FastBuffers.Gradient"/>.
    /// </summary>
    /// <param name="pass">The pass.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="x">Its input (T, hidden).</param>
    /// <param name="upper">Gradient of its output: (T, hidden) in <see cref="FastBuffers.Gradient"/>, or (rows, hidden) in <see cref="FastBuffers.RowGradient"/>; overwritten.</param>
    /// <param name="subset">The output was computed for rows that carry loss.</param>
    /// <param name="needsInput">Whether anything below is trained.</param>
    public void Backward(FastPass pass, DecoderLayer layer, float* x, float* upper, bool subset, bool needsInput)
    {
        var (state, buffers) = (pass.State(layer.Index), pass.Buffers);
        long tokens = pass.Batch.Tokens, rows = subset ? pass.Batch.LossCount : tokens;
        MlpBackward(pass, layer, state, upper, rows);
        // upper is now the gradient of the stream between the blocks.
        var delta = AddendGradient(pass, layer.AfterAttention, state.RawAttention, state.AttentionInverse, upper, rows);
        var attended = subset ? buffers.RowAttended : state.Attended;
        if (subset) Rows.Gather(state.Attended, pass.Batch.LossRows, rows, shape.Query, attended);
        linear.Backward(pass, layer.Output, attended, rows, delta, shape.Hidden, subset ? buffers.RowQuery : buffers.AttendedGradient, false, state.Of(ModuleRole.Output));
        if (subset)
        {
            var start = StepMeter.Now;
            Rows.Scatter(buffers.RowQuery, pass.Batch.LossRows, rows, shape.Query, buffers.AttendedGradient, tokens);
            meter.Add(StepPart.Elementwise, start);
        }
        attention.Backward(
            pass, state, layer.Config.SlidingWindow, buffers.AttendedGradient,
            buffers.QueryGradient, buffers.KeyGradient, buffers.ValueGradient);
        Turn(pass, layer, buffers.QueryGradient, buffers.KeyGradient, true);
        QueryNormsBackward(pass, layer, state, tokens);
        // A trained norm on the input needs the gradient of its output even where nothing below is trained.
        needsInput |= norms.Trains(layer.BeforeAttention);
        ProjectionsBackward(pass, layer, state, x, tokens, subset, needsInput ? buffers.Delta : null);
        if (!needsInput) return;
        var begun = StepMeter.Now;
        // Where only some rows had an output, the gradient that goes around attention reaches these rows alone.
        InputGradient(pass, layer.BeforeAttention, x, state.FirstInverse, subset ? null : upper, buffers.Gradient, tokens);
        if (subset) Rows.ScatterAdd(upper, pass.Batch.LossRows, rows, shape.Hidden, buffers.Gradient);
        meter.Add(StepPart.Elementwise, begun);
    }

    private void MlpBackward(FastPass pass, DecoderLayer layer, LayerState state, float* upper, long rows)
    {
        var buffers = pass.Buffers;
        Activate(pass, state, rows);
        var delta = AddendGradient(pass, layer.AfterMlp, state.RawMlp, state.MlpInverse, upper, rows);
        linear.Backward(pass, layer.Down, buffers.Activated, rows, delta, shape.Hidden, buffers.ActivatedGradient, false, state.Of(ModuleRole.Down));
        var start = StepMeter.Now;
        var (wide, stride) = (shape.Wide, (long)shape.GateStride);
        float* gate = state.Gate, up = state.Up, from = buffers.ActivatedGradient;
        TorchThreads.For(0, rows, Math.Max(1, Grain / wide), (begin, end) =>
        {
            for (var t = begin; t < end; t++)
                GatedUnit.Backward(shape.Gate, gate + t * stride, up + t * stride, from + t * wide, gate + t * stride, up + t * stride, 0, wide);
        });
        // gate and up now hold their own gradients.
        meter.Add(StepPart.Elementwise, start);
        var input = Normed(pass, layer.BeforeMlp, state.Middle, state.SecondInverse, rows);
        if (layer.GateUp is { } fused)
        {
            linear.Backward(pass, fused, input, rows, gate, stride, buffers.Delta, false, state.Of(ModuleRole.GateUp));
        }
        else
        {
            linear.Backward(pass, layer.Gate!, input, rows, gate, stride, buffers.Delta, false, state.Of(ModuleRole.Gate));
            linear.Backward(pass, layer.Up!, input, rows, up, stride, buffers.Delta, true, state.Of(ModuleRole.Up));
        }
        start = StepMeter.Now;
        InputGradient(pass, layer.BeforeMlp, state.Middle, state.SecondInverse, upper, upper, rows);
        meter.Add(StepPart.Elementwise, start);
    }

    private void QueryNormsBackward(FastPass pass, DecoderLayer layer, LayerState state, long tokens)
    {
        if (!shape.QueryNorms) return;
        var start = StepMeter.Now;
        var (query, key) = (shape.QueryNormWidth, shape.KeyNormWidth);
        norms.Backward(layer.QueryNorm!, state.RawQuery, state.QueryInverse, pass.Buffers.QueryGradient, null, pass.Buffers.QueryGradient, query, tokens * shape.Query / query);
        norms.Backward(layer.KeyNorm!, state.RawKey, state.KeyInverse, pass.Buffers.KeyGradient, null, pass.Buffers.KeyGradient, key, tokens * shape.Kv / key);
        meter.Add(StepPart.Elementwise, start);
    }

    private void ProjectionsBackward(FastPass pass, DecoderLayer layer, LayerState state, float* x, long tokens, bool subset, float* target)
    {
        var buffers = pass.Buffers;
        var input = Normed(pass, layer.BeforeAttention, x, state.FirstInverse, tokens);
        if (layer.Qkv is { } fused)
        {
            linear.Backward(pass, fused, input, tokens, buffers.QueryGradient, shape.QueryStride, target, false, state.Of(ModuleRole.Qkv));
            return;
        }
        linear.Backward(pass, layer.Key!, input, tokens, buffers.KeyGradient, shape.Kv, target, false, state.Of(ModuleRole.Key));
        linear.Backward(pass, layer.Value!, input, tokens, buffers.ValueGradient, shape.Kv, target, true, state.Of(ModuleRole.Value));
        if (!subset)
        {
            linear.Backward(pass, layer.Query!, input, tokens, buffers.QueryGradient, shape.Query, target, true, state.Of(ModuleRole.Query));
            return;
        }
        var start = StepMeter.Now;
        long rows = pass.Batch.LossCount;
        Rows.Gather(input, pass.Batch.LossRows, rows, shape.Hidden, buffers.RowNormed);
        Rows.Gather(buffers.QueryGradient, pass.Batch.LossRows, rows, shape.Query, buffers.RowQuery);
        meter.Add(StepPart.Elementwise, start);
        linear.Backward(pass, layer.Query!, buffers.RowNormed, rows, buffers.RowQuery, shape.Query, target == null ? null : buffers.RowInput, false, state.Of(ModuleRole.Query));
        if (target == null) return;
        start = StepMeter.Now;
        Rows.ScatterAdd(buffers.RowInput, pass.Batch.LossRows, rows, shape.Hidden, target);
        meter.Add(StepPart.Elementwise, start);
    }

    // The gradient of a block's last product: the stream's times the residual multiplier, through the norm on the block's output where there is one.
    private float* AddendGradient(FastPass pass, NormModule? after, float* raw, float* inverse, float* upper, long rows)
    {
        var gradient = Scaled(pass, upper, rows);
        if (after is null) return gradient;
        var start = StepMeter.Now;
        norms.Backward(after, raw, inverse, gradient, null, pass.Buffers.Delta, shape.Hidden, rows);
        meter.Add(StepPart.Elementwise, start);
        return pass.Buffers.Delta;
    }

    // dx = around + the gradient of a block's input in Delta, through the norm on that input where there is one. dx may be around.
    private void InputGradient(FastPass pass, NormModule? before, float* x, float* inverse, float* around, float* dx, long rows)
    {
        var from = pass.Buffers.Delta;
        var count = rows * shape.Hidden;
        if (before is not null) norms.Backward(before, x, inverse, from, around, dx, shape.Hidden, rows);
        else if (around != null) AddScaled(around, from, 1f, dx, count);
        else NativeMemory.Copy(from, dx, (nuint)count * sizeof(float));
    }

    // The stream's gradient times the residual multiplier.
    private float* Scaled(FastPass pass, float* upper, long rows)
    {
        if (shape.ResidualMultiplier == 1f) return upper;
        var start = StepMeter.Now;
        NativeMemory.Clear(pass.Buffers.Delta, (nuint)(rows * shape.Hidden) * sizeof(float));
        AddScaled(pass.Buffers.Delta, upper, shape.ResidualMultiplier, pass.Buffers.Delta, rows * shape.Hidden);
        meter.Add(StepPart.Elementwise, start);
        return pass.Buffers.Delta;
    }
}
