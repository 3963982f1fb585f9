using System.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Engine.Generation;

/// <summary>What layers keep of the tokens seen so far: keys and values in buffers that double when full, and states that go from token to token.</summary>
internal sealed class KvCache(int layers, int room = 0) : IDisposable
{
    private readonly (Tensor Keys, Tensor Values)?[] _buffers = new (Tensor, Tensor)?[layers];
    private readonly int[] _lengths = new int[layers];
    private readonly Dictionary<(int Layer, string Name), Tensor> _states = [];

    /// <summary>Tokens held by every layer once a pass is over.</summary>
    public int Length { get; private set; }

    /// <summary>Bytes of all buffers and states.</summary>
    public long Bytes => _buffers.Sum(buffer => buffer is { } held ? BytesOf(held.Keys) + BytesOf(held.Values) : 0) + _states.Values.Sum(BytesOf);

    /// <summary>A pass over further tokens is over.</summary>
    public void Advance(int count) => Length += count;

    /// <summary>A state of a layer, or null before the first token. Owned by the cache.</summary>
    public Tensor? State(int layer, string name) => _states.GetValueOrDefault((layer, name));

    /// <summary>Replaces a state of a layer.</summary>
    public void Keep(int layer, string name, Tensor state)
    {
        var copy = state.detach().clone().DetachFromDisposeScope();
        if (_states.Remove((layer, name), out var old)) old.Dispose();
        _states[(layer, name)] = copy;
    }

    /// <summary>All keys and values [all, kv heads, size] of a layer.</summary>
    public (Tensor Keys, Tensor Values) Read(int layer)
    {
        var (keys, values) = _buffers[layer]!.Value;
        return (keys.narrow(0, 0, _lengths[layer]), values.narrow(0, 0, _lengths[layer]));
    }

    /// <summary>Adds keys and values [new, kv heads, size] and gives all of them [all, kv heads, size].</summary>
    public (Tensor Keys, Tensor Values) Append(int layer, Tensor keys, Tensor values)
    {
        var (count, known) = ((int)keys.shape[0], _lengths[layer]);
        var needed = known + count;
        if (_buffers[layer] is not { } buffer || buffer.Keys.shape[0] < needed) buffer = Grow(layer, needed, keys, values);
        buffer.Keys.narrow(0, known, count).copy_(keys);
        buffer.Values.narrow(0, known, count).copy_(values);
        _lengths[layer] = needed;
        return (buffer.Keys.narrow(0, 0, needed), buffer.Values.narrow(0, 0, needed));
    }

    /// <summary>Forgets all but the first tokens; a state knows no earlier token than the last, so with one everything is forgotten.</summary>
    /// <returns>Tokens kept.</returns>
    public int Truncate(int length)
    {
        if (length == Length) return length;
        if (_states.Count > 0) length = 0;
        foreach (var state in _states.Values) state.Dispose();
        _states.Clear();
        Array.Fill(_lengths, length);
        return Length = length;
    }

    /// <summary>Another text that begins with the first tokens of this one, with room for so many; without any where a state knows no earlier token than the
    /// last.</summary>
    public KvCache Branch(int length, int tokens)
    {
        var branch = new KvCache(layers, tokens);
        if (length == 0 || (_states.Count > 0 && length < Length)) return branch;
        using var scope = NewDisposeScope();
        for (var l = 0; l < layers; l++)
            if (_buffers[l] is { } held) branch.Append(l, held.Keys.narrow(0, 0, length), held.Values.narrow(0, 0, length));
        foreach (var ((layer, name), state) in _states) branch.Keep(layer, name, state);
        branch.Advance(length);
        return branch;
    }

    public void Dispose()
    {
        foreach (var buffer in _buffers)
        {
            buffer?.Keys.Dispose();
            buffer?.Values.Dispose();
        }
        foreach (var state in _states.Values) state.Dispose();
    }

    private static long BytesOf(Tensor tensor) => tensor.numel() * tensor.element_size();

    private (Tensor Keys, Tensor Values) Grow(int layer, int needed, Tensor likeKeys, Tensor likeValues)
    {
        using var scope = NewDisposeScope();
        var capacity = needed <= room ? room : Math.Max(64, (int)BitOperations.RoundUpToPowerOf2((uint)needed));
        Tensor Make(Tensor like) => empty(capacity, like.shape[1], like.shape[2], dtype: like.dtype, device: like.device).DetachFromDisposeScope();
        var (keys, values) = (Make(likeKeys), Make(likeValues));
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
