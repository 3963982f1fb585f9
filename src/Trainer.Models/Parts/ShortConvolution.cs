namespace Trainer.Models.Parts;

/// <summary>A gated convolution over a few tokens (LFM 2): out(C * conv(B * x)), where in gives B, C and x.</summary>
public sealed record ShortConvolution : TokenMixer
{
    /// <summary>Module path below the layer.</summary>
    public string Path { get; init; } = "conv";

    /// <summary>Tokens that the convolution sees, the present one among them.</summary>
    public required int Taps { get; init; }

    /// <summary>Projections and convolution have biases.</summary>
    public bool HasBias { get; init; }

    /// <inheritdoc/>
    public override string Name => "short convolution";

    internal override IEnumerable<ModuleBlueprint> Draw(LayerPath path)
    {
        yield return path.Linear($"{Path}.in_proj", 3L * path.Hidden, path.Hidden, HasBias);
        yield return path.Linear($"{Path}.out_proj", path.Hidden, path.Hidden, HasBias);
        yield return path.Parameter($"{Path}.conv.weight", path.Hidden, 1, Taps);
        if (HasBias) yield return path.Parameter($"{Path}.conv.bias", path.Hidden);
    }
}
