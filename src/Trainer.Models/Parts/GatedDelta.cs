namespace Trainer.Models.Parts;

/// <summary>Linear attention by the gated delta rule (arXiv 2412.06464): a state for each head that decays and is corrected token by token.</summary>
public sealed record GatedDelta : TokenMixer
{
    /// <summary>Module path below the layer.</summary>
    public string Path { get; init; } = "linear_attn";

    /// <summary>Query and key heads.</summary>
    public required int KeyHeads { get; init; }

    /// <summary>Value heads, a multiple of <see cref="KeyHeads"/>.</summary>
    public required int ValueHeads { get; init; }

    /// <summary>Elements of a query or key.</summary>
    public required int KeySize { get; init; }

    /// <summary>Elements of a value.</summary>
    public required int ValueSize { get; init; }

    /// <summary>Tokens that the convolution sees, the present one among them.</summary>
    public required int Taps { get; init; }

    /// <summary>Projections lie in two matrices, in_proj_qkvz and in_proj_ba, key head by key head; else in four.</summary>
    public bool IsPacked { get; init; }

    /// <summary>What the norm on a value head computes.</summary>
    public required NormConfig HeadNorm { get; init; }

    /// <inheritdoc/>
    public override string Name => "gated delta rule";

    /// <summary>Channels of the convolution: queries, keys, values.</summary>
    public int Channels => 2 * KeyHeads * KeySize + ValueHeads * ValueSize;

    internal override IEnumerable<ModuleBlueprint> Draw(LayerPath path)
    {
        var values = (long)ValueHeads * ValueSize;
        if (IsPacked)
        {
            yield return path.Linear($"{Path}.in_proj_qkvz", Channels + values, path.Hidden);
            yield return path.Linear($"{Path}.in_proj_ba", 2 * ValueHeads, path.Hidden);
        }
        else
        {
            yield return path.Linear($"{Path}.in_proj_qkv", Channels, path.Hidden);
            yield return path.Linear($"{Path}.in_proj_z", values, path.Hidden);
            yield return path.Linear($"{Path}.in_proj_b", ValueHeads, path.Hidden);
            yield return path.Linear($"{Path}.in_proj_a", ValueHeads, path.Hidden);
        }
        yield return path.Linear($"{Path}.out_proj", path.Hidden, values);
        yield return path.Norm($"{Path}.norm", ModuleRole.Part, HeadNorm, ValueSize);
        yield return path.Parameter($"{Path}.conv1d.weight", Channels, 1, Taps);
        yield return path.Parameter($"{Path}.A_log", ValueHeads);
        yield return path.Parameter($"{Path}.dt_bias", ValueHeads);
    }
}
