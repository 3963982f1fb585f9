using Trainer.Models.Parts;
using static TorchSharp.torch;

namespace Trainer.Engine.Layers.Delta;

/// <summary>
/// The gated delta rule. Token by token, with a state S [key size, value size] of each head that starts at 0:
/// <code>
/// S = exp(g_t) S;  S = S + k_t (b_t (v_t - S^T k_t))^T;  o_t = S^T q_t
/// </code>
/// In chunks of tokens the same is a triangular system: with d_i the sum of g up to token i of the chunk and D_ij = exp(d_i - d_j),
/// (I + A) U = b v and (I + A) W = b exp(d) k, where A_ij = b_i (k_i . k_j) D_ij below the diagonal; then N = U - W S, o = exp(d) q S + (q k^T D) N,
/// and S = exp(d_last) S + (exp(d_last - d) k)^T N.
/// </summary>
internal static class DeltaRule
{
    private const long Chunk = 64;

    /// <summary>Outputs [count, length, value heads x value size] and the last state, of queries, keys and values of all heads side by side.</summary>
    /// <param name="config">Heads and sizes.</param>
    /// <param name="mixed">[count, length, channels]: queries and keys of any length, values.</param>
    /// <param name="strength">b [count, length, value heads].</param>
    /// <param name="decay">g [count, length, value heads].</param>
    /// <param name="state">State after earlier tokens, or null.</param>
    public static (Tensor Output, Tensor State) OfHeads(GatedDelta config, Tensor mixed, Tensor strength, Tensor decay, Tensor? state)
    {
        long keys = config.KeyHeads * config.KeySize, count = mixed.shape[0], length = mixed.shape[1], group = config.ValueHeads / config.KeyHeads;
        Tensor Unit(Tensor part)
        {
            var heads = part.reshape(count, length, config.KeyHeads, config.KeySize);
            heads = heads * (heads.square().sum([-1], keepdim: true) + 1e-6).rsqrt();
            return heads.repeat_interleave(group, 2).transpose(1, 2);
        }
        var query = Unit(mixed.narrow(2, 0, keys)) * (1 / Math.Sqrt(config.KeySize));
        var key = Unit(mixed.narrow(2, keys, keys));
        var value = mixed.narrow(2, 2 * keys, config.ValueHeads * config.ValueSize).reshape(count, length, config.ValueHeads, config.ValueSize).transpose(1, 2);
        (var output, state) = Apply(query, key, value, strength.transpose(1, 2), decay.transpose(1, 2), state);
        return (output.transpose(1, 2).reshape(count, length, config.ValueHeads * config.ValueSize), state);
    }

    /// <summary>Outputs [count, heads, length, value size] and the last state [count, heads, key size, value size].</summary>
    /// <param name="query">[count, heads, length, key size], scaled.</param>
    /// <param name="key">[count, heads, length, key size], of length 1 each.</param>
    /// <param name="value">[count, heads, length, value size].</param>
    /// <param name="strength">b [count, heads, length].</param>
    /// <param name="decay">g [count, heads, length], at most 0.</param>
    /// <param name="state">State after earlier tokens, or null.</param>
    public static (Tensor Output, Tensor State) Apply(Tensor query, Tensor key, Tensor value, Tensor strength, Tensor decay, Tensor? state)
    {
        var length = query.shape[2];
        state ??= zeros(query.shape[0], query.shape[1], key.shape[3], value.shape[3], dtype: query.dtype, device: query.device);
        var outputs = new List<Tensor>();
        for (long begin = 0; begin < length; begin += Chunk)
        {
            var count = Math.Min(Chunk, length - begin);
            Tensor Part(Tensor x) => x.narrow(2, begin, count);
            (var output, state) = OfChunk(Part(query), Part(key), Part(value), Part(strength).unsqueeze(-1), Part(decay), state);
            outputs.Add(output);
        }
        return (outputs.Count == 1 ? outputs[0] : cat(outputs, 2), state);
    }

    private static (Tensor Output, Tensor State) OfChunk(Tensor query, Tensor key, Tensor value, Tensor strength, Tensor decay, Tensor state)
    {
        var size = query.shape[2];
        var sums = decay.cumsum(-1);
        var below = ones(size, size, dtype: ScalarType.Bool, device: query.device).tril(0);
        // What lies above the diagonal would overflow before it is cut off.
        var fade = (sums.unsqueeze(-1) - sums.unsqueeze(-2)).masked_fill(below.logical_not(), float.NegativeInfinity).exp();
        var system = (key * strength).matmul(key.transpose(2, 3)) * fade;
        system = system.tril(-1) + eye(size, dtype: query.dtype, device: query.device);
        var grown = sums.exp().unsqueeze(-1);
        var solved = linalg.solve_triangular(system, cat([value * strength, key * strength * grown], 3), upper: false, left: true, unitriangular: true);
        var (own, earlier) = (solved.narrow(3, 0, value.shape[3]), solved.narrow(3, value.shape[3], key.shape[3]));
        var change = own - earlier.matmul(state);
        var output = (query * grown).matmul(state) + (query.matmul(key.transpose(2, 3)) * fade).matmul(change);
        var last = sums.narrow(2, size - 1, 1);
        var rest = (last - sums).exp().unsqueeze(-1);
        return (output, state * last.exp().unsqueeze(-1) + (key * rest).transpose(2, 3).matmul(change));
    }
}
