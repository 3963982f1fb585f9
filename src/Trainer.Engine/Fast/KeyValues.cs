namespace Trainer.Engine.Fast;

/// <summary>Keys and values of the tokens so far, per layer, as attention reads them: (tokens, key heads, size). Rooms double when full.</summary>
internal sealed class KeyValues(FastShape shape, IKernels kernels) : IDisposable
{
    private const long LeastTokens = 64;
    private readonly DeviceMemory?[] _layers = new DeviceMemory?[shape.Layers];
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
            var room = kernels.Allocate(2 * half * sizeof(float));
            if (_layers[l] is { } old)
            {
                kernels.Copy(new Place(old, 0), held, new Place(room, 0), held, held, 1);
                kernels.Copy(new Place(old, _capacity * shape.Kv), held, new Place(room, half), held, held, 1);
                kernels.Synchronize();
                old.Dispose();
            }
            _layers[l] = room;
        }
        _capacity = capacity;
    }

    /// <summary>DoRA's row norms, which are the same for every token of a text.</summary>
    public Dictionary<LinearModule, float[]> RowNorms { get; } = [];

    /// <summary>Puts one layer's new keys and values behind those held and attends to all; the new tokens count once <see cref="Advance"/> says so.</summary>
    public void Attend(FastPass pass, int layer, LayerAttention operands)
    {
        var (tokens, at) = (pass.Batch.Tokens, Length * (long)shape.Kv);
        Place keys = new(_layers[layer]!, 0), values = new(_layers[layer]!, _capacity * shape.Kv);
        kernels.Copy(operands.Key, shape.KvStride, keys + at, shape.Kv, shape.Kv, tokens);
        kernels.Copy(operands.Value, shape.KvStride, values + at, shape.Kv, shape.Kv, tokens);
        kernels.ContinueAttention(pass.Memory, tokens, operands, keys, values, Length);
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
