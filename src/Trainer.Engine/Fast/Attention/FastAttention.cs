using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Attention;

/// <summary>Self-attention by hand.</summary>
/// <remarks>
/// <code>
/// q, k, v = x W (normed, cut off and turned where the family does so);  y = attention(q, k, v) Wo
/// </code>
/// Where only some rows are asked for, queries are computed for these, unless they have gates; keys and values for all. A layer may use the keys and values of
/// an earlier one: then only queries are its own.
/// </remarks>
internal sealed partial class FastAttention(SelfAttention attention, DecoderLayer layer, ModelConfig config, IKernels kernels, FastLinear linear,
    FastNorm norms) : IFastMixer
{
    private readonly HeadShape _shape = HeadShape.Of(attention)!;
    private readonly FastOutput _output = new(layer.Output, kernels, linear);

    // Heads without a rotary embedding have no norm without weights either.
    private bool NormsHeads => attention.QkNorm != QkNorm.None && !(attention.QkNorm == QkNorm.Unit && attention.Rope < 0);

    private bool HasKeys => attention.KeysOfLayer is null;

    // Width of one norm: a head, or all of them together.
    private int QueryNormWidth => attention.QkNorm == QkNorm.FullWidth ? _shape.Query : _shape.HeadSize;

    private int KeyNormWidth => attention.QkNorm == QkNorm.FullWidth ? _shape.Kv : _shape.HeadSize;

    public void Forward(FastPass pass, LayerState state, Place x, long rows, bool subset, Place y)
    {
        Projections(pass, state, x, rows, subset);
        var isTurnedRaw = NormsHeads && attention.NormsRotated;
        Turn(pass, isTurnedRaw ? state.RawQuery : state.Query, isTurnedRaw ? state.RawKey : state.Key, false);
        if (isTurnedRaw) NormQueries(pass, state, state.Query, state.Key, pass.Batch.Tokens);
        Warm(pass, state.Query);
        Attend(pass, kernels, layer.Index, Operands(pass, state), attention.Chunk, attention.KeysOfLayer);
        _output.Forward(pass, state, Gated(pass, state), rows, subset, y);
    }

    /// <summary>Attention within segments, or within blocks of so many tokens of each; where texts are continued, new keys and values join theirs and
    /// attention looks at all, or at those of the block. With a source the keys and values are an earlier layer's, which has put them there.</summary>
    public static void Attend(FastPass pass, IKernels kernels, int layer, LayerAttention operands, int? chunk = null, int? source = null)
    {
        var starts = chunk is { } size ? TextChunks.Cut(pass.Batch.Starts, size) : pass.Batch.Starts;
        if (pass.Past is not { } past)
        {
            kernels.Attention(pass.Memory, starts, operands);
            return;
        }
        starts = pass.Batch.Starts;
        var texts = new HeldTokens[past.Length];
        for (var s = 0; s < past.Length; s++)
        {
            var at = starts[s] * (long)operands.Shape.KvStride;
            texts[s] = source is { } held ? past[s].Borrow(held)
                : past[s].Put(layer, operands.Key + at, operands.Value + at, starts[s + 1] - starts[s]);
        }
        if (chunk is { } block) (starts, texts) = TextChunks.Cut(starts, texts, block, operands.Shape.Kv);
        kernels.ContinueAttention(pass.Memory, starts, operands, texts);
    }

    private void Projections(FastPass pass, LayerState state, Place normed, long rows, bool subset)
    {
        long tokens = pass.Batch.Tokens;
        if (layer.Qkv is { } fused)
        {
            linear.Forward(pass, fused, normed, tokens, state.Query, _shape.QueryStride, state.Of(fused));
            return;
        }
        var query = NormsHeads ? state.RawQuery : state.Query;
        if (attention.HasGate)
        {
            // A head's query and its gate lie side by side.
            var (both, heads, size) = (pass.Memory.Floats(BufferId.QueryAndGate), tokens * _shape.Heads, _shape.HeadSize);
            linear.Forward(pass, layer.Query!, normed, tokens, both, 2L * _shape.Query, state.Of(layer.Query!));
            kernels.Copy(both, 2 * size, query, size, size, heads);
            kernels.Copy(both + size, 2 * size, state.Own(BufferId.AttentionGate), size, size, heads);
        }
        else if (subset)
        {
            kernels.Gather(normed, pass.Batch.LossRows, rows, (int)layer.Query!.InFeatures, pass.Buffers.RowNormed);
            linear.Forward(pass, layer.Query!, pass.Buffers.RowNormed, rows, pass.Buffers.RowQuery, _shape.Query, state.Of(layer.Query!));
            // Rows nobody asks for become zero queries: harmless, and without effect on the gradient.
            kernels.Scatter(pass.Buffers.RowQuery, pass.Batch.LossRows, rows, _shape.Query, query, tokens);
        }
        else linear.Forward(pass, layer.Query!, normed, tokens, query, _shape.Query, state.Of(layer.Query!));
        if (HasKeys) KeysAndValues(pass, state, normed, tokens);
        if (!NormsHeads || attention.NormsRotated) return;
        NormQueries(pass, state, state.Query, state.Key, tokens);
        if (attention.Clip is not { } limit) return;
        kernels.Clamp(state.Query, tokens * _shape.Query, (float)limit);
        kernels.Clamp(state.Key, tokens * _shape.Kv, (float)limit);
        kernels.Clamp(state.Value, tokens * _shape.Kv, (float)limit);
    }

    private void KeysAndValues(FastPass pass, LayerState state, Place normed, long tokens)
    {
        var (key, count) = (NormsHeads ? state.RawKey : state.Key, tokens * _shape.Kv);
        linear.Forward(pass, layer.Key!, normed, tokens, key, _shape.Kv, state.Of(layer.Key!));
        var raw = attention.ValuesAreKeys ? key : attention.NormsValues ? state.RawValue : state.Value;
        if (!attention.ValuesAreKeys) linear.Forward(pass, layer.Value!, normed, tokens, raw, _shape.Kv, state.Of(layer.Value!));
        if (attention.NormsValues)
            kernels.Norm(raw, Unit(pass), 0f, (float)attention.HeadNorm.Epsilon, state.Value, state.ValueInverse, _shape.HeadSize, tokens * _shape.KvHeads);
        else if (attention.ValuesAreKeys) kernels.Copy(raw, count, state.Value, count, count, 1);
        if (attention.KeyMultiplier != 1) kernels.Scale(key, count, (float)attention.KeyMultiplier);
    }

    // What attention gives, times the sigmoid of its gate where there is one.
    private Place Gated(FastPass pass, LayerState state)
    {
        if (!attention.HasGate) return state.Attended;
        var mixed = pass.Memory.Floats(BufferId.Mixed);
        kernels.GateValues(state.Own(BufferId.AttentionGate), state.Attended, pass.Batch.Tokens * (long)_shape.Query, mixed);
        return mixed;
    }

    private void NormQueries(FastPass pass, LayerState state, Place query, Place key, long tokens)
    {
        if (attention.QkNorm == QkNorm.Unit)
        {
            var (unit, epsilon) = (Unit(pass), (float)attention.HeadNorm.Epsilon);
            kernels.Norm(state.RawQuery, unit, 0f, epsilon, query, state.QueryInverse, _shape.HeadSize, tokens * _shape.Heads);
            if (HasKeys) kernels.Norm(state.RawKey, unit, 0f, epsilon, key, state.KeyInverse, _shape.HeadSize, tokens * _shape.KvHeads);
            return;
        }
        norms.Forward(layer.QueryNorm!, state.RawQuery, query, state.QueryInverse, QueryNormWidth, tokens * _shape.Query / QueryNormWidth);
        if (HasKeys) norms.Forward(layer.KeyNorm!, state.RawKey, key, state.KeyInverse, KeyNormWidth, tokens * _shape.Kv / KeyNormWidth);
    }

    // Weights of one.
    private Place Unit(FastPass pass)
    {
        var unit = pass.Memory.Floats(BufferId.UnitWeight);
        kernels.Fill(unit, _shape.HeadSize, 1f);
        return unit;
    }

    // Queries that grow with the position, or their gradients.
    private void Warm(FastPass pass, Place query)
    {
        if (attention.Temperature is not null) kernels.ScaleRows(query, _shape.QueryStride, _shape.Query, pass.Batch.Temperatures, pass.Batch.Tokens);
    }

    private LayerAttention Operands(FastPass pass, LayerState state)
    {
        var operands = state.Attention(_shape, attention.Window, attention.HasSinks ? kernels.Of(layer.Modules.Parameter($"{attention.Path}.sinks")) : default);
        return attention.KeysOfLayer is { } source && pass.State(source) is var other ? operands with { Key = other.Key, Value = other.Value } : operands;
    }

    private void Turn(FastPass pass, Place query, Place key, bool inverse)
    {
        var rope = attention.Rope;
        if (rope < 0) return;
        var (half, pairs) = (config.Ropes[rope].Dimensions / 2, config.Ropes[rope].IsInterleaved);
        Turn(query, _shape.QueryStride, _shape.Heads);
        if (HasKeys) Turn(key, _shape.KvStride, _shape.KvHeads);

        void Turn(Place heads, int stride, int count) => kernels.Rotate(heads, stride, count, _shape.HeadSize, pass.Batch.Cos(rope), pass.Batch.Sin(rope),
            pass.Batch.Positions, half, pairs, inverse, pass.Batch.Tokens);
    }
}
