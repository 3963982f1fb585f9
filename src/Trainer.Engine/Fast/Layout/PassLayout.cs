namespace Trainer.Engine.Fast;

/// <summary>Every buffer of a pass of the hand-written engine, known before anything is loaded: the arena is cut by walking it and the plan adds it up.</summary>
public sealed class PassLayout
{
    private readonly Dictionary<BufferKey, long> _offsets = [];

    private PassLayout(IEnumerable<PassBuffer> buffers, int threads, long guard = 0)
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
    public bool IsSubset { get; private init; }

    /// <summary>Most rows of activations; panels of frozen matrices are cut by it.</summary>
    internal long Tokens { get; private init; }

    /// <summary>Rows of logits at a time.</summary>
    internal long LossChunk { get; private init; }

    /// <summary>Rows whose loss is computed.</summary>
    internal long LossRows { get; private init; }

    /// <summary>Threads that have scratch of their own.</summary>
    internal int Threads { get; }

    /// <summary>How attention is cut into blocks.</summary>
    internal AttentionBlocks Attention { get; private init; }

    /// <summary>The buffers of a pass.</summary>
    /// <param name="adapter">The model with what is trained of it.</param>
    /// <param name="batch">The batch.</param>
    /// <param name="mode">What the pass is for.</param>
    /// <param name="engine">The engine's choices.</param>
    public static PassLayout Of(AdapterBlueprint adapter, BatchShape batch, PassMode mode, EngineShape engine)
    {
        ArgumentNullException.ThrowIfNull(engine);
        var builder = new LayoutBuilder(adapter, batch, mode, engine);
        return new(builder.Buffers(), engine.Threads, engine.Guard) { Tokens = batch.Tokens, IsSubset = builder.IsSubset, LossRows = builder.LossRows, LossChunk = builder.LossChunk, Attention = builder.Attention };
    }

    /// <summary>The buffers of something that is no whole pass.</summary>
    internal static PassLayout Of(IEnumerable<PassBuffer> buffers, int threads) => new(buffers, threads);

    /// <summary>Bytes of the buffers of one use.</summary>
    /// <param name="use">The use.</param>
    public long BytesOf(BufferUse use) => Buffers.Where(buffer => buffer.Use == use).Sum(buffer => buffer.Bytes);

    /// <summary>Where a buffer begins, in bytes, or null where the pass has none of that name.</summary>
    internal long? OffsetOf(BufferKey key) => _offsets.TryGetValue(key, out var offset) ? offset : null;
}
