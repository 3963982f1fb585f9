namespace Trainer.Engine.Fast;

/// <summary>What the backward pass of one layer needs of its forward pass. Norm outputs and the gated product are not kept: they are cheap to make again.</summary>
internal sealed unsafe class LayerState
{
    private readonly Dictionary<ModuleRole, AdapterState> _adapters;

    /// <summary>Cuts the buffers for T tokens.</summary>
    /// <param name="arena">Where from.</param>
    /// <param name="shape">The model.</param>
    /// <param name="tokens">T.</param>
    /// <param name="adapters">What the adapter of each linear keeps.</param>
    public LayerState(Arena arena, FastShape shape, long tokens, IReadOnlyDictionary<ModuleRole, AdapterSize> adapters)
    {
        if (shape.Fused)
        {
            Query = arena.Floats(tokens * shape.QueryStride);
            Key = Query + shape.Query;
            Value = Key + shape.Kv;
            Gate = arena.Floats(tokens * shape.GateStride);
            Up = Gate + shape.Wide;
        }
        else
        {
            Query = arena.Floats(tokens * shape.Query);
            Key = arena.Floats(tokens * shape.Kv);
            Value = arena.Floats(tokens * shape.Kv);
            Gate = arena.Floats(tokens * shape.Wide);
            Up = arena.Floats(tokens * shape.Wide);
        }
        if (shape.QueryNorms)
        {
            RawQuery = arena.Floats(tokens * shape.Query);
            RawKey = arena.Floats(tokens * shape.Kv);
            QueryInverse = arena.Floats(tokens * shape.Query / shape.QueryNormWidth);
            KeyInverse = arena.Floats(tokens * shape.Kv / shape.KeyNormWidth);
        }
        if (shape.NormsAttention)
        {
            RawAttention = arena.Floats(tokens * shape.Hidden);
            AttentionInverse = arena.Floats(tokens);
        }
        if (shape.NormsMlp)
        {
            RawMlp = arena.Floats(tokens * shape.Hidden);
            MlpInverse = arena.Floats(tokens);
        }
        LogSums = arena.Floats(tokens * shape.Heads);
        Attended = arena.Floats(tokens * shape.Query);
        Middle = arena.Floats(tokens * shape.Hidden);
        FirstInverse = arena.Floats(tokens);
        SecondInverse = arena.Floats(tokens);
        _adapters = adapters.ToDictionary(one => one.Key, one => new AdapterState(arena, tokens, one.Value));
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
    public AdapterState Of(ModuleRole role) => _adapters[role];
}
