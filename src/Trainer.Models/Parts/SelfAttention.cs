using Trainer.Models.Config;

namespace Trainer.Models.Parts;

/// <summary>Attention of query heads over key and value heads, with all the options that families have.</summary>
public sealed record SelfAttention : TokenMixer
{
    /// <summary>Module path below the layer.</summary>
    public string Path { get; init; } = "self_attn";

    /// <summary>Query heads.</summary>
    public required int Heads { get; init; }

    /// <summary>Key and value heads, a divisor of <see cref="Heads"/>.</summary>
    public required int KvHeads { get; init; }

    /// <summary>Elements of a head.</summary>
    public required int HeadSize { get; init; }

    /// <summary>Multiplier of query-key products.</summary>
    public required double Scale { get; init; }

    /// <summary>Scores become cap * tanh(score / cap), or null.</summary>
    public double? SoftCap { get; init; }

    /// <summary>Keys a query sees, itself included (i - j &lt; window), or null for all earlier ones.</summary>
    public int? Window { get; init; }

    /// <summary>A query sees the keys of its own block of so many positions alone, or null.</summary>
    public int? Chunk { get; init; }

    /// <summary>Index into <see cref="ModelConfig.Ropes"/>, or -1 for none.</summary>
    public int Rope { get; init; }

    /// <summary>Queries, keys and values have biases.</summary>
    public bool QkvBias { get; init; }

    /// <summary>The output has a bias.</summary>
    public bool OutputBias { get; init; }

    /// <summary>One qkv_proj in place of three matrices.</summary>
    public bool IsFused { get; init; }

    /// <summary>Module name of the output.</summary>
    public string OutputName { get; init; } = "o_proj";

    /// <summary>Normalisation of queries and keys.</summary>
    public QkNorm QkNorm { get; init; }

    /// <summary>What the norms on queries and keys compute.</summary>
    public NormConfig HeadNorm { get; init; } = new(1e-6);

    /// <summary>Module name of the norm on queries.</summary>
    public string QueryNormName { get; init; } = "q_norm";

    /// <summary>Module name of the norm on keys.</summary>
    public string KeyNormName { get; init; } = "k_norm";

    /// <summary>Queries and keys are normed after the rotary embedding, not before it.</summary>
    public bool NormsRotated { get; init; }

    /// <summary>Values are divided by their root mean square, head by head.</summary>
    public bool NormsValues { get; init; }

    /// <summary>Queries, keys and values are clamped to plus and minus this, after a norm over the full width, or null.</summary>
    public double? Clip { get; init; }

    /// <summary>Multiplier of keys.</summary>
    public double KeyMultiplier { get; init; } = 1;

    /// <summary>A multiplier of queries that grows with the position, or null.</summary>
    public QueryTemperature? Temperature { get; init; }

    /// <summary>Each head has a learned score that takes its share of the softmax and gives no value.</summary>
    public bool HasSinks { get; init; }

    /// <summary>q_proj holds a gate beside each head's query; attention's result is multiplied by its sigmoid.</summary>
    public bool HasGate { get; init; }

    /// <summary>There is no v_proj: the raw keys are the values.</summary>
    public bool ValuesAreKeys { get; init; }

    /// <summary>The layer whose keys and values this one uses in place of its own, or null.</summary>
    public int? KeysOfLayer { get; init; }

    /// <summary>Later layers use its keys and values.</summary>
    public bool IsSource { get; init; }

    /// <inheritdoc/>
    public override string Name => "self-attention";

    internal override IEnumerable<ModuleBlueprint> Draw(LayerPath path)
    {
        long query = (long)Heads * HeadSize, kv = (long)KvHeads * HeadSize;
        if (IsFused) yield return path.Linear($"{Path}.qkv_proj", ModuleRole.Qkv, query + 2 * kv, path.Hidden, QkvBias);
        else
        {
            yield return path.Linear($"{Path}.q_proj", ModuleRole.Query, HasGate ? 2 * query : query, path.Hidden, QkvBias);
            if (KeysOfLayer is null) yield return path.Linear($"{Path}.k_proj", ModuleRole.Key, kv, path.Hidden, QkvBias);
            if (KeysOfLayer is null && !ValuesAreKeys) yield return path.Linear($"{Path}.v_proj", ModuleRole.Value, kv, path.Hidden, QkvBias);
        }
        yield return path.Linear($"{Path}.{OutputName}", ModuleRole.Output, path.Hidden, query, OutputBias);
        if (HasSinks) yield return path.Parameter($"{Path}.sinks", Heads);
        if (QkNorm is QkNorm.None or QkNorm.Unit) yield break;
        yield return Norm(path, QueryNormName, ModuleRole.QueryNorm, Heads);
        if (KeysOfLayer is null) yield return Norm(path, KeyNormName, ModuleRole.KeyNorm, KvHeads);
    }

    private ModuleBlueprint Norm(LayerPath path, string name, ModuleRole role, int heads)
    {
        var (rows, columns) = QkNorm switch
        {
            QkNorm.PerHead => (HeadSize, 1),
            QkNorm.FullWidth => (heads * HeadSize, 1),
            _ => (heads, HeadSize),
        };
        return path.Norm($"{Path}.{name}", role, HeadNorm, rows, columns) with { IsStoredByRow = QkNorm == QkNorm.OwnWeightsByRow };
    }
}
