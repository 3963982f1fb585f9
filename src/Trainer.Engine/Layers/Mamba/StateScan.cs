using static TorchSharp.torch;

namespace Trainer.Engine.Layers.Mamba;

/// <summary>
/// The scan of a state-space mixer. Token by token, with a state S [state size, head size] of each head that starts at 0:
/// <code>
/// S = exp(a_t) S + B_t x_t^T;  y_t = S^T C_t
/// </code>
/// In chunks: with d_i the sum of a up to token i of the chunk, y = exp(d) C S + (C B^T D) x, where D_ij = exp(d_i - d_j) up to the diagonal, and
/// S = exp(d_last) S + (exp(d_last - d) B)^T x.
/// </summary>
internal static class StateScan
{
    private const long Chunk = 64;

    /// <summary>Outputs [count, heads, length, head size] and the last state [count, heads, state size, head size].</summary>
    /// <param name="read">C [count, heads, length, state size].</param>
    /// <param name="write">B [count, heads, length, state size].</param>
    /// <param name="value">x, times its step [count, heads, length, head size].</param>
    /// <param name="decay">a [count, heads, length], at most 0.</param>
    /// <param name="state">State after earlier tokens, or null.</param>
    public static (Tensor Output, Tensor State) Apply(Tensor read, Tensor write, Tensor value, Tensor decay, Tensor? state)
    {
        var length = value.shape[2];
        state ??= zeros(value.shape[0], value.shape[1], write.shape[3], value.shape[3], dtype: value.dtype, device: value.device);
        var outputs = new List<Tensor>();
        for (long begin = 0; begin < length; begin += Chunk)
        {
            var count = Math.Min(Chunk, length - begin);
            Tensor Part(Tensor x) => x.narrow(2, begin, count);
            var (c, b, x, sums) = (Part(read), Part(write), Part(value), Part(decay).cumsum(-1));
            var below = ones(count, count, dtype: ScalarType.Bool, device: value.device).tril(0);
            // What lies above the diagonal would overflow before it is cut off.
            var fade = (sums.unsqueeze(-1) - sums.unsqueeze(-2)).masked_fill(below.logical_not(), float.NegativeInfinity).exp();
            outputs.Add((c * sums.exp().unsqueeze(-1)).matmul(state) + (c.matmul(b.transpose(2, 3)) * fade).matmul(x));
            var last = sums.narrow(2, count - 1, 1);
            state = state * last.exp().unsqueeze(-1) + (b * (last - sums).exp().unsqueeze(-1)).transpose(2, 3).matmul(x);
        }
        return (outputs.Count == 1 ? outputs[0] : cat(outputs, 2), state);
    }
}
