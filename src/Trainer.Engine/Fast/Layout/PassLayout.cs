namespace Trainer.Engine.Fast.Layout;

/// <summary>Every buffer of a pass of the hand-written engine, known before anything is loaded: the arena is cut by walking it and the plan adds it
/// up.</summary>
public sealed class PassLayout
{
    private readonly Dictionary<BufferKey, long> _offsets = [];

    internal PassLayout(IEnumerable<PassBuffer> buffers, int threads, long guard = 0, bool isApart = false)
    {
        (Buffers, Threads, IsApart) = ([.. buffers], threads, isApart);
        foreach (var buffer in Buffers)
        {
            var bytes = buffer.Bytes + guard;
            if (IsOwn(buffer.Key))
            {
                _offsets.Add(buffer.Key, isApart ? OwnBytes : Bytes);
                OwnBytes += bytes;
                if (isApart) continue;
            }
            else _offsets.Add(buffer.Key, Bytes);
            Bytes += bytes;
        }
    }

    /// <summary>Whether the batch's own buffers lie in a block of their own, so that passes that take turns layer by layer share the others.</summary>
    public bool IsApart { get; }

    /// <summary>Bytes of the batch's own buffers: what one more batch takes of passes that take turns.</summary>
    public long OwnBytes { get; }

    /// <summary>The buffers, one behind the other.</summary>
    public IReadOnlyList<PassBuffer> Buffers { get; }

    /// <summary>Bytes of all buffers; where the batch's own lie apart, of the others.</summary>
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

    /// <summary>Whether a buffer holds something of the batch from one layer to the next.</summary>
    internal static bool IsOwn(BufferKey key) => key.Id is BufferId.Positions or BufferId.Temperatures or BufferId.Cos or BufferId.Sin
        or BufferId.LossRows or BufferId.LossTargets or BufferId.LossFactors or BufferId.Losses or BufferId.LogitMeans or BufferId.EvenInput
        or BufferId.OddInput or BufferId.Input or BufferId.Gradient or BufferId.Ones or BufferId.ScoreBalance or BufferId.SharedKey
        or BufferId.SharedValue or BufferId.SharedKeyGradient or BufferId.SharedValueGradient or BufferId.SmallInputs or BufferId.SmallInputGradients;

    /// <summary>Where a buffer begins, in bytes, or null where the pass has none of that name.</summary>
    internal long? OffsetOf(BufferKey key) => _offsets.TryGetValue(key, out var offset) ? offset : null;
}
