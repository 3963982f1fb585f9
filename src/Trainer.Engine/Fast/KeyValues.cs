using System.Runtime.InteropServices;

namespace Trainer.Engine.Fast;

/// <summary>Keys and values of the tokens so far, per layer, as attention reads them: (tokens, key heads, size). Rooms double when full.</summary>
internal sealed unsafe class KeyValues(FastShape shape) : IDisposable
{
    private const long LeastTokens = 64;
    private readonly NativeBlock?[] _layers = new NativeBlock?[shape.Layers];
    private long _capacity;

    /// <summary>Tokens held by every layer.</summary>
    public int Length { get; private set; }

    /// <summary>Makes room for as many tokens more.</summary>
    public void Reserve(int tokens)
    {
        var needed = Length + (long)tokens;
        if (needed <= _capacity) return;
        var capacity = Math.Max(LeastTokens, _capacity);
        while (capacity < needed) capacity *= 2;
        var (held, half) = (Length * (long)shape.Kv, capacity * shape.Kv);
        for (var l = 0; l < _layers.Length; l++)
        {
            var room = new NativeBlock(2 * half * sizeof(float));
            if (_layers[l] is { } old)
            {
                NativeMemory.Copy(old.Start, room.Start, (nuint)(held * sizeof(float)));
                NativeMemory.Copy((float*)old.Start + _capacity * shape.Kv, (float*)room.Start + half, (nuint)(held * sizeof(float)));
                old.Dispose();
            }
            _layers[l] = room;
        }
        _capacity = capacity;
    }

    /// <summary>DoRA's row norms, which are the same for every token of a text.</summary>
    public Dictionary<LinearModule, float[]> RowNorms { get; } = [];

    public float* Keys(int layer) => (float*)_layers[layer]!.Start;

    public float* Values(int layer) => Keys(layer) + _capacity * shape.Kv;

    /// <summary>Puts one layer's new tokens behind those held; they count once <see cref="Advance"/> says so.</summary>
    public void Put(int layer, float* keys, float* values, int tokens)
    {
        for (long t = 0; t < tokens; t++)
        {
            var at = (Length + t) * shape.Kv;
            NativeMemory.Copy(keys + t * shape.KvStride, Keys(layer) + at, (nuint)shape.Kv * sizeof(float));
            NativeMemory.Copy(values + t * shape.KvStride, Values(layer) + at, (nuint)shape.Kv * sizeof(float));
        }
    }

    /// <summary>Counts tokens that every layer has put.</summary>
    public void Advance(int tokens) => Length += tokens;

    /// <summary>Forgets all but the first tokens.</summary>
    public void Truncate(int length) => Length = length;

    public void Dispose()
    {
        foreach (var layer in _layers) layer?.Dispose();
    }
}
