using System.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Engine;

/// <summary>Keys and values of the tokens seen so far, per layer, in buffers that double when full.</summary>
internal sealed class KvCache(int layers) : IDisposable
{
    private readonly (Tensor Keys, Tensor Values)?[] _buffers = new (Tensor, Tensor)?[layers];
    private readonly int[] _lengths = new int[layers];

    /// <summary>Tokens held by every layer once a pass is over.</summary>
    public int Length => _lengths[^1];

    /// <summary>Adds keys and values [new, kv heads, size] and gives all of them [all, kv heads, size].</summary>
    public (Tensor Keys, Tensor Values) Append(int layer, Tensor keys, Tensor values)
    {
        var (count, known) = ((int)keys.shape[0], _lengths[layer]);
        var needed = known + count;
        if (_buffers[layer] is not { } buffer || buffer.Keys.shape[0] < needed) buffer = Grow(layer, needed, keys);
        buffer.Keys.narrow(0, known, count).copy_(keys);
        buffer.Values.narrow(0, known, count).copy_(values);
        _lengths[layer] = needed;
        return (buffer.Keys.narrow(0, 0, needed), buffer.Values.narrow(0, 0, needed));
    }

    /// <summary>Forgets all but the first tokens.</summary>
    public void Truncate(int length) => Array.Fill(_lengths, length);

    public void Dispose()
    {
        foreach (var buffer in _buffers)
        {
            buffer?.Keys.Dispose();
            buffer?.Values.Dispose();
        }
    }

    private (Tensor Keys, Tensor Values) Grow(int layer, int needed, Tensor like)
    {
        using var scope = NewDisposeScope();
        var capacity = Math.Max(64, (int)BitOperations.RoundUpToPowerOf2((uint)needed));
        Tensor Make() => empty(capacity, like.shape[1], like.shape[2], dtype: like.dtype, device: like.device).DetachFromDisposeScope();
        var (keys, values) = (Make(), Make());
        if (_buffers[layer] is { } old)
        {
            keys.narrow(0, 0, _lengths[layer]).copy_(old.Keys.narrow(0, 0, _lengths[layer]));
            values.narrow(0, 0, _lengths[layer]).copy_(old.Values.narrow(0, 0, _lengths[layer]));
            old.Keys.Dispose();
            old.Values.Dispose();
        }
        _buffers[layer] = (keys, values);
        return (keys, values);
    }
}
