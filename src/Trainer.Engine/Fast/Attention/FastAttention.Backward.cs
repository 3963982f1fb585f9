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
            kernels.GateValuesBackward(gate, state.Attended, buffers.AttendedGradient, pass.Batch.Tokens * (long)_shape.Query, buffers.AttendedGradient, gate);
        var starts = attention.Chunk is { } chunk ? TextChunks.Cut(pass.Batch.Starts, chunk) : pass.Batch.Starts;
        kernels.AttentionBackward(pass.Memory, starts, Operands(pass, state), buffers.AttendedGradient, buffers.QueryGradient, buffers.KeyGradient,
            buffers.ValueGradient);
        ShareGradients(pass);
        Warm(pass, buffers.QueryGradient);
        if (attention.NormsRotated) QueryNormsBackward(pass, state);
        Turn(pass, buffers.QueryGradient, buffers.KeyGradient, true);
        ClipBackward(pass, state);
        if (!attention.NormsRotated) QueryNormsBackward(pass, state);
        if (HasKeys) ValuesBackward(pass, state);
        ProjectionsBackward(pass, state, x, rows, subset, dx);
    }

    // Gradients of keys and values that several layers use are summed up on the way back to the layer that made them; none where nothing there is trained.
    private void ShareGradients(FastPass pass)
    {
        var (buffers, count) = (pass.Buffers, pass.Batch.Tokens * (long)_shape.Kv);
        var source = attention.KeysOfLayer ?? layer.Index;
        Share(BufferId.SharedKeyGradient, buffers.KeyGradient);
        Share(BufferId.SharedValueGradient, buffers.ValueGradient);

        void Share(BufferId id, Place own)
        {
            if (pass.Memory.FloatsOrNone(id, source) is not { IsNone: false } sum) return;
            if (HasKeys) kernels.AddScaled(own, sum, 1f, own, count);
            else if (IsLastUser) kernels.Copy(own, count, sum, count, count, 1);
            else kernels.AddScaled(sum, own, 1f, sum, count);
        }
    }

    // Whether no later layer uses the same keys and values: it comes first on the way back.
    private bool IsLastUser => !config.Layers.Skip(layer.Index + 1).Any(one => one.Attention?.KeysOfLayer == attention.KeysOfLayer);

    // Where queries, keys or values were cut off nothing flows back. Before they were turned they are made again, in the room of a gradient that is used up.
    private void ClipBackward(FastPass pass, LayerState state)
    {
        if (attention.Clip is not { } limit) return;
        var (buffers, tokens) = (pass.Buffers, (long)pass.Batch.Tokens);
        NormQueries(pass, state, buffers.AttendedGradient, state.Key, tokens);
        kernels.ClampBackward(buffers.AttendedGradient, tokens * _shape.Query, (float)limit, buffers.QueryGradient);
        kernels.ClampBackward(state.Key, tokens * _shape.Kv, (float)limit, buffers.KeyGradient);
        kernels.ClampBackward(state.Value, tokens * _shape.Kv, (float)limit, buffers.ValueGradient);
    }

    private void QueryNormsBackward(FastPass pass, LayerState state)
    {
        if (!NormsHeads) return;
        var (query, key, tokens, buffers) = (QueryNormWidth, KeyNormWidth, (long)pass.Batch.Tokens, pass.Buffers);
        if (attention.QkNorm == QkNorm.Unit)
        {
            UnitNormBackward(pass, state.RawQuery, state.QueryInverse, buffers.QueryGradient, tokens * _shape.Heads);
            if (HasKeys) UnitNormBackward(pass, state.RawKey, state.KeyInverse, buffers.KeyGradient, tokens * _shape.KvHeads);
            return;
        }
        norms.Backward(layer.QueryNorm!, state.RawQuery, state.QueryInverse, buffers.QueryGradient, default, buffers.QueryGradient, query,
            tokens * _shape.Query / query);
        if (!HasKeys) return;
        norms.Backward(layer.KeyNorm!, state.RawKey, state.KeyInverse, buffers.KeyGradient, default, buffers.KeyGradient, key, tokens * _shape.Kv / key);
    }

    // The gradient of values before their norm, over that of values; keys that are values too have both.
    private void ValuesBackward(FastPass pass, LayerState state)
    {
        var (buffers, tokens) = (pass.Buffers, (long)pass.Batch.Tokens);
        if (attention.KeyMultiplier != 1) kernels.Scale(buffers.KeyGradient, tokens * _shape.Kv, (float)attention.KeyMultiplier);
        if (attention.NormsValues)
            UnitNormBackward(pass, attention.ValuesAreKeys ? state.RawKey : state.RawValue, state.ValueInverse, buffers.ValueGradient, tokens * _shape.KvHeads);
        if (attention.ValuesAreKeys) kernels.AddScaled(buffers.KeyGradient, buffers.ValueGradient, 1f, buffers.KeyGradient, tokens * _shape.Kv);
    }

    private void UnitNormBackward(FastPass pass, Place raw, Place inverse, Place gradient, long heads) =>
        kernels.NormBackward(raw, Unit(pass), 0f, inverse, gradient, default, gradient, _shape.HeadSize, heads);

    private void ProjectionsBackward(FastPass pass, LayerState state, Place input, long rows, bool subset, Place target)
    {
        var (buffers, tokens) = (pass.Buffers, (long)pass.Batch.Tokens);
        if (layer.Qkv is { } fused)
        {
            linear.Backward(pass, fused, input, tokens, buffers.QueryGradient, _shape.QueryStride, target, false, state.Of(fused));
            return;
        }
        if (HasKeys) linear.Backward(pass, layer.Key!, input, tokens, buffers.KeyGradient, _shape.Kv, target, false, state.Of(layer.Key!));
        if (layer.Value is { } value) linear.Backward(pass, value, input, tokens, buffers.ValueGradient, _shape.Kv, target, true, state.Of(value));
        if (attention.HasGate)
        {
            var (both, heads, size) = (pass.Memory.Floats(BufferId.QueryAndGate), tokens * _shape.Heads, _shape.HeadSize);
            kernels.Copy(buffers.QueryGradient, size, both, 2 * size, size, heads);
            kernels.Copy(state.Own(BufferId.AttentionGate), size, both + size, 2 * size, size, heads);
            linear.Backward(pass, layer.Query!, input, tokens, both, 2L * _shape.Query, target, HasKeys, state.Of(layer.Query!));
            return;
        }
        if (!subset)
        {
            linear.Backward(pass, layer.Query!, input, tokens, buffers.QueryGradient, _shape.Query, target, HasKeys, state.Of(layer.Query!));
            return;
        }
        var hidden = (int)layer.Query!.InFeatures;
        kernels.Gather(input, pass.Batch.LossRows, rows, hidden, buffers.RowNormed);
        kernels.Gather(buffers.QueryGradient, pass.Batch.LossRows, rows, _shape.Query, buffers.RowQuery);
        linear.Backward(pass, layer.Query, buffers.RowNormed, rows, buffers.RowQuery, _shape.Query, target.IsNone ? default : buffers.RowInput, false,
            state.Of(layer.Query));
        if (target.IsNone) return;
        if (HasKeys) kernels.ScatterAdd(buffers.RowInput, pass.Batch.LossRows, rows, hidden, target, tokens);
        else kernels.Scatter(buffers.RowInput, pass.Batch.LossRows, rows, hidden, target, tokens);
    }
}
