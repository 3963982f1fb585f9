using Trainer.Engine.Fast.Operations;

namespace Trainer.Engine.Fast;

/// <summary>Keys and values of a text's tokens so far, per layer, as attention reads them: (tokens, key heads, size). Rooms double when full.</summary>
internal sealed class KeyValues(FastShape shape, IKernels kernels) : IDisposable
{
    private const long LeastTokens = 64;
    private readonly DeviceMemory?[] _layers = new DeviceMemory?[shape.Layers];
    private long _capacity;

    /// <summary>Tokens held by every layer.</summary>
    public int Length { get; private set; }

    /// <summary>Bytes of all rooms.</summary>
    public long Bytes => _layers.Sum(layer => layer?.Bytes ?? 0);

    /// <summary>Makes room for as many tokens more.</summary>
    public void Reserve(int tokens)
    {
        var needed = Length + (long)tokens;
        if (needed <= _capacity) return;
        var capacity = Math.Max(LeastTokens, _capacity);
        while (capacity < needed) capacity *= 2;
        Grow(capacity);
    }

    /// <summary>DoRA's row norms, which are the same for every token of a text and of its branches.</summary>
    public Dictionary<LinearModule, float[]> RowNorms { get; private init; } = [];

    /// <summary>Another text that begins with the first tokens of this one, with room for so many; where a layer keeps a state, with all of them or
    /// none.</summary>
    public KeyValues Branch(int length, int room)
    {
        if (States.Any && length != Length) length = 0;
        var branch = new KeyValues(shape, kernels) { RowNorms = RowNorms };
        if (Math.Max(length, room) is > 0 and var capacity) branch.Grow(capacity);
        for (var l = 0; length > 0 && l < _layers.Length; l++) CopyTo(branch, l, length);
        if (length > 0) States.CopyTo(branch.States);
        kernels.Synchronize();
        branch.Length = length;
        return branch;
    }

    /// <summary>Puts one layer's keys and values of new tokens behind those held; they count once <see cref="Advance"/> says so.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="newKeys">(tokens, key heads, size), as the layer computed them.</param>
    /// <param name="newValues">The same of values.</param>
    /// <param name="tokens">New tokens.</param>
    public HeldTokens Put(int layer, Place newKeys, Place newValues, long tokens)
    {
        Place keys = Keys(layer), values = Values(layer);
        var heads = shape.HeadsOf(layer)!;
        var at = Length * (long)heads.Kv;
        kernels.Copy(newKeys, heads.KvStride, keys + at, heads.Kv, heads.Kv, tokens);
        kernels.Copy(newValues, heads.KvStride, values + at, heads.Kv, heads.Kv, tokens);
        return new HeldTokens(keys, values, Length);
    }

    /// <summary>What a layer has put, new tokens among it, for another layer that uses its keys and values.</summary>
    public HeldTokens Borrow(int layer) => new(Keys(layer), Values(layer), Length);

    /// <summary>Counts tokens that every layer has put.</summary>
    public void Advance(int tokens) => Length += tokens;

    /// <summary>What layers without keys and values keep.</summary>
    public TextStates States { get; } = new(kernels);

    /// <summary>Forgets all but the first tokens, or everything where a layer keeps a state.</summary>
    /// <returns>Tokens kept.</returns>
    public int Truncate(int length)
    {
        if (length == Length) return length;
        if (States.Any) length = 0;
        States.Clear();
        return Length = length;
    }

    public void Dispose()
    {
        foreach (var layer in _layers) layer?.Dispose();
        States.Dispose();
    }

    private Place Keys(int layer) => new(_layers[layer]!, 0);

    private Place Values(int layer) => new(_layers[layer]!, _capacity * Width(layer));

    // Floats of a token's keys; 0 of a layer that keeps none.
    private long Width(int layer) => shape.KeepsKeys(layer) ? shape.HeadsOf(layer)!.Kv : 0;

    private void CopyTo(KeyValues other, int layer, int tokens)
    {
        if (Width(layer) * tokens is not (> 0 and var floats)) return;
        kernels.Copy(Keys(layer), floats, other.Keys(layer), floats, floats, 1);
        kernels.Copy(Values(layer), floats, other.Values(layer), floats, floats, 1);
    }

    private void Grow(long capacity)
    {
        for (var l = 0; l < _layers.Length; l++)
        {
            if (Width(l) is not (> 0 and var width)) continue;
            var (held, half) = (Length * width, capacity * width);
            var room = kernels.Allocate(2 * half * sizeof(float));
            if (_layers[l] is { } old)
            {
                kernels.Copy(new Place(old, 0), held, new Place(room, 0), held, held, 1);
                kernels.Copy(new Place(old, _capacity * width), held, new Place(room, half), held, held, 1);
                kernels.Synchronize();
                old.Dispose();
            }
            _layers[l] = room;
        }
        _capacity = capacity;
    }
}
