namespace Trainer.Engine.Fast.Layout;

/// <summary>Every buffer of a pass of the hand-written engine, known before anything is loaded: the arena is cut by walking it and the plan adds it
/// up.</summary>
public sealed class PassLayout
{
    private readonly Dictionary<BufferKey, long> _offsets = [];

    internal PassLayout(IEnumerable<PassBuffer> buffers, int threads, long guard = 0)
    {
        (Buffers, Threads) = ([.. buffers], threads);
        foreach (var buffer in Buffers)
        {
            _offsets.Add(buffer.Key, Bytes);
            Bytes += buffer.Bytes + guard;
        }
    }

    /// <summary>The buffers, one behind the other.</summary>
    public IReadOnlyList<PassBuffer> Buffers { get; }

    /// <summary>Bytes of all buffers.</summary>
    public long Bytes { get; }

    /// <summary>Whether the last layer is computed for the rows that carry loss alone: worth its gather and scatter only where rows fall away.</summary>
    public bool IsSubset { get; internal init; }

    /// <summary>Whether the pass continues texts.</summary>
    internal bool IsOfTexts { get; init; }

    /// <summary>Most rows of activations; panels of frozen matrices are cut by it.</summary>
    internal long Tokens { get; init; }

    /// <summary>Rows of logits at a time.</summary>
    internal long LossChunk { get; init; }

    /// <summary>Rows whose loss is computed.</summary>
    internal long LossRows { get; init; }

    /// <summary>Threads that have scratch of their own.</summary>
    internal int Threads { get; }

    /// <summary>How attention is cut into blocks.</summary>
    internal AttentionBlocks Attention { get; init; }

    /// <summary>Bytes of the buffers of one use.</summary>
    /// <param name="use">The use.</param>
    public long BytesOf(BufferUse use) => Buffers.Where(buffer => buffer.Use == use).Sum(buffer => buffer.Bytes);

    /// <summary>Where a buffer begins, in bytes, or null where the pass has none of that name.</summary>
    internal long? OffsetOf(BufferKey key) => _offsets.TryGetValue(key, out var offset) ? offset : null;
}
