using Trainer.Engine.Fast.Attention;
using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Latent;

/// <summary>Latent attention by hand: queries, keys and values come from small vectors, then attention is as anywhere.</summary>
/// <remarks>
/// <code>
/// q = Wqb norm(Wqa x), or Wq x;  (c, k_r) = Wkva x;  (k_p, v) = Wkvb norm(c)      head by head: q = (q_p, q_r)
/// </code>
/// A head lies in rooms of one size as (turned part, plain part, zeros), in which attention takes it; k_r is in each head's room. Where the norms' results are
/// needed again they are made again.
/// </remarks>
internal sealed class FastLatent(LatentAttention config, DecoderLayer layer, ModelConfig model, IKernels kernels, FastLinear linear, FastNorm norms)
    : IFastMixer
{
    private readonly HeadShape _shape = HeadShape.Of(config)!;
    private readonly LinearModule? _queryDown = config.QueryRank is null ? null : layer.Modules.Linear($"{config.Path}.q_a_proj");
    private readonly LinearModule _query = layer.Modules.Linear($"{config.Path}.{(config.QueryRank is null ? "q_proj" : "q_b_proj")}");
    private readonly NormModule? _queryNorm = config.QueryRank is null ? null : layer.Modules.Norm($"{config.Path}.q_a_layernorm");
    private readonly LinearModule _down = layer.Modules.Linear($"{config.Path}.kv_a_proj_with_mqa");
    private readonly LinearModule _up = layer.Modules.Linear($"{config.Path}.kv_b_proj");
    private readonly NormModule _norm = layer.Modules.Norm($"{config.Path}.kv_a_layernorm");
    private readonly FastOutput _output = new(layer.Modules.Linear($"{config.Path}.o_proj"), kernels, linear);
    private readonly int _heads = config.Heads, _plain = config.PlainSize, _turned = config.RotatedSize, _value = config.ValueSize, _size = config.HeadSize;

    public void Forward(FastPass pass, LayerState state, Place x, long rows, bool subset, Place y)
    {
        long tokens = pass.Batch.Tokens, heads = tokens * _heads;
        Place wide = pass.Memory.Floats(BufferId.LatentWide), down = pass.Memory.Floats(BufferId.LatentDown);
        if (_size > _plain + _turned)
            foreach (var room in (Place[])[state.Query, state.Key]) kernels.Fill(room, heads * _size, 0f);
        if (_size > _value) kernels.Fill(state.Value, heads * _size, 0f);
        linear.Forward(pass, _query, QueryInput(pass, state, x, true), tokens, wide, _query.OutFeatures, state.Of(_query));
        kernels.Copy(wide + _plain, _plain + _turned, state.Query, _size, _turned, heads);
        kernels.Copy(wide, _plain + _turned, state.Query + _turned, _size, _plain, heads);
        linear.Forward(pass, _down, x, tokens, down, _down.OutFeatures, state.Of(_down));
        kernels.Copy(down, _down.OutFeatures, state.RawKey, config.KvRank, config.KvRank, tokens);
        linear.Forward(pass, _up, Normed(pass, state), tokens, wide, _up.OutFeatures, state.Of(_up));
        kernels.Copy(wide, _plain + _value, state.Key + _turned, _size, _plain, heads);
        kernels.Copy(wide + _plain, _plain + _value, state.Value, _size, _value, heads);
        for (var head = 0; head < _heads; head++)
            kernels.Copy(down + config.KvRank, _down.OutFeatures, state.Key + (long)head * _size, _shape.Query, _turned, tokens);
        Turn(pass, state.Query, state.Key, false);
        FastAttention.Attend(pass, kernels, layer.Index, state.Attention(_shape, null, default));
        _output.Forward(pass, state, Mixed(pass, state), rows, subset, y);
    }

    public void Backward(FastPass pass, LayerState state, Place x, long rows, bool subset, Place dy, Place dx)
    {
        var buffers = pass.Buffers;
        var heads = pass.Batch.Tokens * (long)_heads;
        var mixed = _size > _value ? pass.Memory.Floats(BufferId.MixedGradient) : buffers.AttendedGradient;
        _output.Backward(pass, state, Mixed(pass, state), rows, subset, dy, mixed);
        if (_size > _value)
        {
            kernels.Fill(buffers.AttendedGradient, heads * _size, 0f);
            kernels.Copy(mixed, _value, buffers.AttendedGradient, _size, _value, heads);
        }
        kernels.AttentionBackward(pass.Memory, pass.Batch.Starts, state.Attention(_shape, null, default), buffers.AttendedGradient, buffers.QueryGradient,
            buffers.KeyGradient, buffers.ValueGradient);
        Turn(pass, buffers.QueryGradient, buffers.KeyGradient, true);
        KeysBackward(pass, state, x, dx);
        QueriesBackward(pass, state, x, dx);
    }

    private void KeysBackward(FastPass pass, LayerState state, Place x, Place dx)
    {
        long tokens = pass.Batch.Tokens, heads = tokens * _heads;
        Place wide = pass.Memory.Floats(BufferId.LatentWide), down = pass.Memory.Floats(BufferId.LatentDown),
            normed = pass.Memory.Floats(BufferId.LatentNormed), gradient = pass.Memory.Floats(BufferId.LatentGradient);
        kernels.Copy(pass.Buffers.KeyGradient + _turned, _size, wide, _plain + _value, _plain, heads);
        kernels.Copy(pass.Buffers.ValueGradient, _size, wide + _plain, _plain + _value, _value, heads);
        linear.Backward(pass, _up, Normed(pass, state), tokens, wide, _up.OutFeatures, gradient, false, state.Of(_up));
        norms.Backward(_norm, state.RawKey, state.KeyInverse, gradient, default, gradient, config.KvRank, tokens);
        kernels.Copy(gradient, config.KvRank, down, _down.OutFeatures, config.KvRank, tokens);
        // The turned part served every head.
        kernels.Copy(pass.Buffers.KeyGradient, _shape.Query, normed, _turned, _turned, tokens);
        for (var head = 1; head < _heads; head++)
        {
            kernels.Copy(pass.Buffers.KeyGradient + (long)head * _size, _shape.Query, gradient, _turned, _turned, tokens);
            kernels.AddScaled(normed, gradient, 1f, normed, tokens * _turned);
        }
        kernels.Copy(normed, _turned, down + config.KvRank, _down.OutFeatures, _turned, tokens);
        linear.Backward(pass, _down, x, tokens, down, _down.OutFeatures, dx, false, state.Of(_down));
    }

    private void QueriesBackward(FastPass pass, LayerState state, Place x, Place dx)
    {
        long tokens = pass.Batch.Tokens, heads = tokens * _heads;
        Place wide = pass.Memory.Floats(BufferId.LatentWide), gradient = pass.Memory.Floats(BufferId.LatentGradient);
        kernels.Copy(pass.Buffers.QueryGradient, _size, wide + _plain, _plain + _turned, _turned, heads);
        kernels.Copy(pass.Buffers.QueryGradient + _turned, _size, wide, _plain + _turned, _plain, heads);
        var input = QueryInput(pass, state, x, false);
        if (_queryDown is null)
        {
            linear.Backward(pass, _query, input, tokens, wide, _query.OutFeatures, dx, true, state.Of(_query));
            return;
        }
        var rank = config.QueryRank!.Value;
        linear.Backward(pass, _query, input, tokens, wide, _query.OutFeatures, gradient, false, state.Of(_query));
        norms.Backward(_queryNorm!, state.RawQuery, state.QueryInverse, gradient, default, gradient, rank, tokens);
        linear.Backward(pass, _queryDown, x, tokens, gradient, rank, dx, true, state.Of(_queryDown));
    }

    // What the last product of queries takes: x, or the norm of the small vector.
    private Place QueryInput(FastPass pass, LayerState state, Place x, bool isForward)
    {
        if (_queryDown is null) return x;
        long tokens = pass.Batch.Tokens;
        if (isForward) linear.Forward(pass, _queryDown, x, tokens, state.RawQuery, _queryDown.OutFeatures, state.Of(_queryDown));
        var normed = pass.Memory.Floats(BufferId.LatentNormed);
        norms.Forward(_queryNorm!, state.RawQuery, normed, state.QueryInverse, config.QueryRank!.Value, tokens);
        return normed;
    }

    private Place Normed(FastPass pass, LayerState state)
    {
        var normed = pass.Memory.Floats(BufferId.LatentNormed);
        norms.Forward(_norm, state.RawKey, normed, state.KeyInverse, config.KvRank, pass.Batch.Tokens);
        return normed;
    }

    // Attention's result without the zeros behind each head.
    private Place Mixed(FastPass pass, LayerState state)
    {
        if (_size == _value) return state.Attended;
        var mixed = pass.Memory.Floats(BufferId.Mixed);
        kernels.Copy(state.Attended, _size, mixed, _value, _value, pass.Batch.Tokens * (long)_heads);
        return mixed;
    }

    private void Turn(FastPass pass, Place query, Place key, bool inverse)
    {
        var (batch, rope) = (pass.Batch, model.Ropes[0]);
        foreach (var heads in (Place[])[query, key])
            kernels.Rotate(heads, _shape.Query, _heads, _size, batch.Cos(0), batch.Sin(0), batch.Positions, rope.Dimensions / 2, rope.IsInterleaved, inverse,
                batch.Tokens);
    }
}
