namespace Trainer.Models.Parts;

/// <summary>A state-space mixer (Mamba-2, arXiv 2405.21060): a state for each head that decays and takes up the token's value along B and is read along
/// C.</summary>
public sealed record Mamba2 : TokenMixer
{
    /// <summary>Module path below the layer.</summary>
    public string Path { get; init; } = "mamba";

    /// <summary>Heads.</summary>
    public required int Heads { get; init; }

    /// <summary>Elements of a head.</summary>
    public required int HeadSize { get; init; }

    /// <summary>Groups of heads that share B and C.</summary>
    public required int Groups { get; init; }

    /// <summary>Elements of B and of C.</summary>
    public required int StateSize { get; init; }

    /// <summary>Tokens that the convolution sees, the present one among them.</summary>
    public required int Taps { get; init; }

    /// <summary>The convolution has a bias.</summary>
    public bool ConvolutionBias { get; init; }

    /// <summary>The projection in has a bias.</summary>
    public bool InputBias { get; init; }

    /// <summary>The projection out has a bias.</summary>
    public bool OutputBias { get; init; }

    /// <summary>Least step of time.</summary>
    public double LeastStep { get; init; }

    /// <summary>Largest step of time.</summary>
    public double LargestStep { get; init; } = double.PositiveInfinity;

    /// <summary>What the norm on the result computes; null where the result is only gated.</summary>
    public NormConfig? ResultNorm { get; init; }

    /// <summary>Parts of the result that are normed by themselves.</summary>
    public int NormGroups { get; init; } = 1;

    /// <summary>The result is normed first and then gated, not gated first.</summary>
    public bool NormsBeforeGate { get; init; }

    /// <summary>Multiplier of the input.</summary>
    public double InputMultiplier { get; init; } = 1;

    /// <summary>Multipliers of the five parts that the projection gives: gate, values, B, C, steps.</summary>
    public IReadOnlyList<double>? PartMultipliers { get; init; }

    /// <summary>Width inside.</summary>
    public int Inner => Heads * HeadSize;

    /// <summary>Channels of the convolution: values, B, C.</summary>
    public int Channels => Inner + 2 * Groups * StateSize;

    /// <inheritdoc/>
    public override string Name => "Mamba-2";

    internal override IEnumerable<ModuleBlueprint> Draw(LayerPath path)
    {
        yield return path.Linear($"{Path}.in_proj", Inner + Channels + Heads, path.Hidden, InputBias);
        yield return path.Linear($"{Path}.out_proj", path.Hidden, Inner, OutputBias);
        if (ResultNorm is not null) yield return path.Norm($"{Path}.norm", ModuleRole.Part, ResultNorm, Inner);
        yield return path.Parameter($"{Path}.conv1d.weight", Channels, 1, Taps);
        if (ConvolutionBias) yield return path.Parameter($"{Path}.conv1d.bias", Channels);
        yield return path.Parameter($"{Path}.A_log", Heads);
        yield return path.Parameter($"{Path}.D", Heads);
        yield return path.Parameter($"{Path}.dt_bias", Heads);
    }
}
