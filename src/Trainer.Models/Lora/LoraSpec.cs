namespace Trainer.Models.Lora;

/// <summary>An adapter's shape, as PEFT's LoraConfig has it.</summary>
public sealed record LoraSpec
{
    /// <summary>The rank where none is named.</summary>
    public const int DefaultRank = 16;

    /// <summary>Rank r.</summary>
    public int Rank { get; init; } = DefaultRank;

    /// <summary>Scaling numerator.</summary>
    public double Alpha { get; init; } = 2 * DefaultRank;

    /// <summary>Probability with which an element of an adapter's input is dropped.</summary>
    public double Dropout { get; init; }

    /// <summary>Which linears are adapted, and whether the embedding is.</summary>
    public TargetModules Targets { get; init; } = TargetModules.AllLinear;

    /// <summary>Modules that are left alone though <see cref="Targets"/> names them; null for none.</summary>
    public TargetModules? Exclude { get; init; }

    /// <summary>Tensors of all experts that are adapted: ends of their names (<c>experts.gate_up_proj</c>, <c>experts.down_proj</c>).</summary>
    public IReadOnlyList<string> TargetParameters { get; init; } = [];

    /// <summary>Names in <see cref="Targets"/> do not mean experts' own projections: of a folder that has no tensors for them.</summary>
    public bool LeavesExpertsAlone { get; init; }

    /// <summary>Adapt these layers only; null adapts all.</summary>
    public IReadOnlyList<int>? LayersToTransform { get; init; }

    /// <summary>Scale by alpha / sqrt(r) in place of alpha / r (arXiv 2312.03732).</summary>
    public bool UseRslora { get; init; }

    /// <summary>Weight-decomposed adaptation (arXiv 2402.09353).</summary>
    public bool UseDora { get; init; }

    /// <summary>A bias on B.</summary>
    public bool LoraBias { get; init; }

    /// <summary>Which biases of the base are trained.</summary>
    public BiasMode Bias { get; init; }

    /// <summary>Rank by module name: PEFT's rule, a regular expression for the end of the module path; the first that matches counts.</summary>
    public IReadOnlyList<KeyValuePair<string, int>> RankPattern { get; init; } = [];

    /// <summary>Alpha by module name, likewise.</summary>
    public IReadOnlyList<KeyValuePair<string, double>> AlphaPattern { get; init; } = [];

    /// <summary>Modules trained and saved whole: ends of module paths (<c>lm_head</c>, <c>embed_tokens</c>, a norm, a linear, or a whole block such as
    /// <c>mlp</c>).</summary>
    public IReadOnlyList<string> ModulesToSave { get; init; } = [];

    /// <summary>
    /// Token rows that are trained in place of the table's own, by the end of the path of the table (<c>embed_tokens</c>, <c>lm_head</c>): PEFT's
    /// trainable_token_indices. A tied head follows the embedding.
    /// </summary>
    public IReadOnlyList<KeyValuePair<string, IReadOnlyList<int>>> TokenRows { get; init; } = [];

    /// <summary>Whether a tied head follows the embedding where that is trained.</summary>
    public bool EnsureWeightTying { get; init; }

    /// <summary>Of a multimodal base: names are written as the text model's own class has its modules, not as the multimodal class has them.</summary>
    public bool UsesTextClass { get; init; }

    /// <summary>B stays as it is in training (MiCA); such an adapter is read, but not continued.</summary>
    public bool IsBFixed { get; init; }

    /// <summary>How fresh tensors are filled.</summary>
    public AdapterInit Init { get; init; }

    /// <summary>Whether the adapter has a second half that takes the first one's beginning off again; see <see cref="Doubled"/>.</summary>
    public bool IsDoubled => Init is AdapterInit.Pissa or AdapterInit.Olora;

    /// <summary>The same with twice the rank and the same scale (alpha / r, or alpha / sqrt(r)): room for a second half.</summary>
    public LoraSpec Doubled()
    {
        var factor = UseRslora ? Math.Sqrt(2) : 2;
        return this with
        {
            Rank = 2 * Rank,
            Alpha = factor * Alpha,
            RankPattern = [.. RankPattern.Select(pair => KeyValuePair.Create(pair.Key, 2 * pair.Value))],
            AlphaPattern = [.. AlphaPattern.Select(pair => KeyValuePair.Create(pair.Key, factor * pair.Value))],
        };
    }
}
