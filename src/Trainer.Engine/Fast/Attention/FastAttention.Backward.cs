using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Models.Config;

namespace Trainer.Engine.Fast.Attention;

internal sealed partial class FastAttention
{
    public void Backward(FastPass pass, LayerState state, Place x, long rows, bool subset, Place dy, Place dx)
    {
        var buffers = pass.Buffers;
        _output.Backward(pass, state, Gated(pass, state), rows, subset, dy, buffers.AttendedGradient);
        // The gate becomes its own gradient.
        if (attention.HasGate && state.Own(BufferId.AttentionGate) is var gate)
            kernels.GateValuesBackward(gate, state.Attended, buffers.AttendedGradient, pass.Batch.Tokens * (long)shape.Query, buffers.AttendedGradient, gate);
        var starts = attention.Chunk is { } chunk ? TextChunks.Cut(pass.Batch.Starts, chunk) : pass.Batch.Starts;
        kernels.AttentionBackward(pass.Memory, starts, Operands(state), buffers.AttendedGradient, buffers.QueryGradient, buffers.KeyGradient,
            buffers.ValueGradient);
        Warm(pass, buffers.QueryGradient);
        if (attention.NormsRotated) QueryNormsBackward(pass, state);
        Turn(pass, buffers.QueryGradient, buffers.KeyGradient, true);
        ClipBackward(pass, state);
        if (!attention.NormsRotated) QueryNormsBackward(pass, state);
        ProjectionsBackward(pass, state, x, rows, subset, dx);
    }

    // Where queries, keys or values were cut off nothing flows back. Before they were turned they are made again, in the room of a gradient that is used up.
    private void ClipBackward(FastPass pass, LayerState state)
    {
        if (shape.Clip is not { } limit) return;
        var (buffers, tokens) = (pass.Buffers, (long)pass.Batch.Tokens);
        NormQueries(pass, state, buffers.AttendedGradient, state.Key, tokens);
        kernels.ClampBackward(buffers.AttendedGradient, tokens * shape.Query, limit, buffers.QueryGradient);
        kernels.ClampBackward(state.Key, tokens * shape.Kv, limit, buffers.KeyGradient);
        kernels.ClampBackward(state.Value, tokens * shape.Kv, limit, buffers.ValueGradient);
    }

    private void QueryNormsBackward(FastPass pass, LayerState state)
    {
        if (!NormsHeads) return;
        var (query, key, tokens) = (shape.QueryNormWidth, shape.KeyNormWidth, (long)pass.Batch.Tokens);
        if (attention.QkNorm == QkNorm.Unit)
        {
            var (buffers, unit) = (pass.Buffers, Unit(pass));
            kernels.NormBackward(state.RawQuery, unit, 0f, state.QueryInverse, buffers.QueryGradient, default, buffers.QueryGradient, query,
                tokens * shape.Heads);
            kernels.NormBackward(state.RawKey, unit, 0f, state.KeyInverse, buffers.KeyGradient, default, buffers.KeyGradient, key, tokens * shape.KvHeads);
            return;
        }
        norms.Backward(layer.QueryNorm!, state.RawQuery, state.QueryInverse, pass.Buffers.QueryGradient, default, pass.Buffers.QueryGradient, query,
            tokens * shape.Query / query);
        norms.Backward(layer.KeyNorm!, state.RawKey, state.KeyInverse, pass.Buffers.KeyGradient, default, pass.Buffers.KeyGradient, key,
            tokens * shape.Kv / key);
    }

    private void ProjectionsBackward(FastPass pass, LayerState state, Place input, long rows, bool subset, Place target)
    {
        var (buffers, tokens) = (pass.Buffers, (long)pass.Batch.Tokens);
        if (layer.Qkv is { } fused)
        {
            linear.Backward(pass, fused, input, tokens, buffers.QueryGradient, shape.QueryStride, target, false, state.Of(fused));
            return;
        }
        linear.Backward(pass, layer.Key!, input, tokens, buffers.KeyGradient, shape.Kv, target, false, state.Of(layer.Key!));
        linear.Backward(pass, layer.Value!, input, tokens, buffers.ValueGradient, shape.Kv, target, true, state.Of(layer.Value!));
        if (attention.HasGate)
        {
            var (both, heads) = (pass.Memory.Floats(BufferId.QueryAndGate), tokens * shape.Heads);
            kernels.Copy(buffers.QueryGradient, shape.HeadSize, both, 2 * shape.HeadSize, shape.HeadSize, heads);
            kernels.Copy(state.Own(BufferId.AttentionGate), shape.HeadSize, both + shape.HeadSize, 2 * shape.HeadSize, shape.HeadSize, heads);
            linear.Backward(pass, layer.Query!, input, tokens, both, 2L * shape.Query, target, true, state.Of(layer.Query!));
            return;
        }
        if (!subset)
        {
            linear.Backward(pass, layer.Query!, input, tokens, buffers.QueryGradient, shape.Query, target, true, state.Of(layer.Query!));
            return;
        }
        kernels.Gather(input, pass.Batch.LossRows, rows, shape.Hidden, buffers.RowNormed);
        kernels.Gather(buffers.QueryGradient, pass.Batch.LossRows, rows, shape.Query, buffers.RowQuery);
        linear.Backward(pass, layer.Query!, buffers.RowNormed, rows, buffers.RowQuery, shape.Query, target.IsNone ? default : buffers.RowInput, false,
            state.Of(layer.Query!));
        if (target.IsNone) return;
        kernels.ScatterAdd(buffers.RowInput, pass.Batch.LossRows, rows, shape.Hidden, target, tokens);
    }
}
