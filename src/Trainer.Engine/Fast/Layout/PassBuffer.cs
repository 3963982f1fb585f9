namespace Trainer.Engine.Fast.Layout;

/// <summary>One buffer of a pass.</summary>
public sealed record PassBuffer
{
    internal PassBuffer(BufferUse use, BufferKey key, long elements, int elementSize = sizeof(float)) =>
        (Use, Key, Elements, ElementSize) = (use, key, elements, elementSize);

    /// <summary>How long it is needed.</summary>
    public BufferUse Use { get; }

    /// <summary>What it is, whatever its layer.</summary>
    public string Name => (Key.Part ?? Key.Role?.ToString()) is { } owner ? $"{Key.Id} of {owner}" : Key.Id.ToString();

    /// <summary>Elements.</summary>
    public long Elements { get; }

    /// <summary>Bytes of an element.</summary>
    public int ElementSize { get; }

    /// <summary>Bytes it takes: buffers begin at multiples of a cache line.</summary>
    public long Bytes => (Elements * ElementSize + Arena.Alignment - 1) / Arena.Alignment * Arena.Alignment;

    internal BufferKey Key { get; }
}
