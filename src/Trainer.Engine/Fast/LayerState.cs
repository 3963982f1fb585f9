namespace Trainer.Engine.Fast;

/// <summary>What the backward pass of one layer needs of its forward pass. Norm outputs and the gated product are not kept: they are cheap to make again.</summary>
internal sealed unsafe class LayerState
{
    private readonly PassMemory _memory;
    private readonly int _index;

    /// <summary>Finds the buffers of a layer: its own, or those that all layers share.</summary>
    /// <param name="memory">The memory of the pass.</param>
    /// <param name="shape">The model.</param>
    /// <param name="layer">The layer.</param>
    public LayerState(PassMemory memory, FastShape shape, int layer)
    {
        _memory = memory;
        _index = memory.FloatsOrNull(BufferId.Query, layer) != null ? layer : -1;
        Query = Own(BufferId.Query);
        Key = shape.Fused ? Query + shape.Query : Own(BufferId.Key);
        Value = shape.Fused ? Key + shape.Kv : Own(BufferId.Value);
        Gate = Own(BufferId.Gate);
        Up = shape.Fused ? Gate + shape.Wide : Own(BufferId.Up);
        RawQuery = Own(BufferId.RawQuery);
        RawKey = Own(BufferId.RawKey);
        QueryInverse = Own(BufferId.QueryInverse);
        KeyInverse = Own(BufferId.KeyInverse);
        RawAttention = Own(BufferId.RawAttention);
        AttentionInverse = Own(BufferId.AttentionInverse);
        RawMlp = Own(BufferId.RawMlp);
        MlpInverse = Own(BufferId.MlpInverse);
        LogSums = Own(BufferId.LogSums);
        Attended = Own(BufferId.Attended);
        Middle = Own(BufferId.Middle);
        FirstInverse = Own(BufferId.FirstInverse);
        SecondInverse = Own(BufferId.SecondInverse);
    }

    /// <summary>Queries (T, heads, size), turned; fused with keys and values in one row where the family does so.</summary>
    public float* Query { get; }

    public float* Key { get; }

    public float* Value { get; }

    /// <summary>Queries before their norm, or null where the family has none.</summary>
    public float* RawQuery { get; }

    public float* RawKey { get; }

    public float* QueryInverse { get; }

    public float* KeyInverse { get; }

    /// <summary>Attention's output (T, query width).</summary>
    public float* Attended { get; }

    /// <summary>What the attention block adds to the stream, before its norm (rows, hidden), or null where the family has none.</summary>
    public float* RawAttention { get; }

    public float* AttentionInverse { get; }

    /// <summary>What the feed-forward block adds to the stream, before its norm (rows, hidden), or null.</summary>
    public float* RawMlp { get; }

    public float* MlpInverse { get; }

    /// <summary>The residual stream between the two blocks (rows, hidden).</summary>
    public float* Middle { get; }

    public float* Gate { get; }

    public float* Up { get; }

    public float* FirstInverse { get; }

    public float* SecondInverse { get; }

    /// <summary>Logarithm of each query's sum of exponentials (heads, T).</summary>
    public float* LogSums { get; }

    /// <summary>What the adapter of a linear keeps.</summary>
    public AdapterState Of(ModuleRole role) => new(
        _memory.FloatsOrNull(BufferId.AdapterLow, _index, role), _memory.FloatsOrNull(BufferId.AdapterWhole, _index, role), _memory.FloatsOrNull(BufferId.AdapterNorms, _index, role));

    private float* Own(BufferId id) => _memory.FloatsOrNull(id, _index);
}
