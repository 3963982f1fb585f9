namespace Trainer.Models.Parts;

/// <summary>Attention whose keys and values come from a small latent vector (DeepSeek, arXiv 2405.04434); a part of each key is rotated and shared by all
/// heads.</summary>
public sealed record LatentAttention : TokenMixer
{
    /// <summary>Module path below the layer.</summary>
    public string Path { get; init; } = "self_attn";

    /// <summary>Heads.</summary>
    public required int Heads { get; init; }

    /// <summary>Width of the queries' latent, or null where they come straight from the stream.</summary>
    public int? QueryRank { get; init; }

    /// <summary>Width of the keys' and values' latent.</summary>
    public required int KvRank { get; init; }

    /// <summary>Elements of a head's query and key that are not rotated.</summary>
    public required int PlainSize { get; init; }

    /// <summary>Elements that are.</summary>
    public required int RotatedSize { get; init; }

    /// <summary>Elements of a head's value.</summary>
    public required int ValueSize { get; init; }

    /// <summary>Elements of a head where queries, keys and values lie in rooms of one size.</summary>
    public int HeadSize => Math.Max(PlainSize + RotatedSize, ValueSize);

    /// <summary>Multiplier of query-key products.</summary>
    public required double Scale { get; init; }

    /// <summary>The projections from the stream and the output have biases.</summary>
    public bool HasBias { get; init; }

    /// <summary>What the norms on the latents compute.</summary>
    public NormConfig LatentNorm { get; init; } = new(1e-6);

    /// <inheritdoc/>
    public override string Name => "latent attention";

    internal override IEnumerable<ModuleBlueprint> Draw(LayerPath path)
    {
        var queries = (long)Heads * (PlainSize + RotatedSize);
        if (QueryRank is { } rank)
        {
            yield return path.Linear($"{Path}.q_a_proj", rank, path.Hidden, HasBias);
            yield return path.Linear($"{Path}.q_b_proj", queries, rank);
            yield return path.Norm($"{Path}.q_a_layernorm", ModuleRole.Part, LatentNorm, rank);
        }
        else yield return path.Linear($"{Path}.q_proj", queries, path.Hidden);
        yield return path.Linear($"{Path}.kv_a_proj_with_mqa", KvRank + RotatedSize, path.Hidden, HasBias);
        yield return path.Linear($"{Path}.kv_b_proj", (long)Heads * (PlainSize + ValueSize), KvRank);
        yield return path.Norm($"{Path}.kv_a_layernorm", ModuleRole.Part, LatentNorm, KvRank);
        yield return path.Linear($"{Path}.o_proj", path.Hidden, (long)Heads * ValueSize, HasBias);
    }
}
