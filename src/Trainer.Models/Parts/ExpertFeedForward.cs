using Trainer.Models.Config;

namespace Trainer.Models.Parts;

/// <summary>Many feed-forward blocks, of which each token is sent to a few: the sum of score * down(act(gate x) * up x) over the chosen (without a gate
/// score * down(act(up x))), and perhaps one block for all tokens.</summary>
public sealed record ExpertFeedForward : FeedForward
{
    /// <summary>Module path below the layer; empty where the experts lie in the layer itself.</summary>
    public string Path { get; init; } = "mlp";

    /// <summary>The same in the folder, where it is another.</summary>
    public string? StoredPath { get; init; }

    /// <summary>Experts.</summary>
    public required int Experts { get; init; }

    /// <summary>Width inside an expert.</summary>
    public required int Width { get; init; }

    /// <summary>Whether experts have gates.</summary>
    public bool IsGated { get; init; } = true;

    /// <summary>Width of the space in which experts compute, where tokens are projected into it and back; null computes on the stream.</summary>
    public int? LatentWidth { get; init; }

    /// <summary>Those projections have biases.</summary>
    public bool LatentBias { get; init; }

    /// <summary>Paths of those projections below the layer.</summary>
    public (string In, string Out) LatentPaths => (Below("fc1_latent_proj"), Below("fc2_latent_proj"));

    /// <summary>Rows of an expert's inner matrix: gates and ups, or ups alone.</summary>
    public int InnerRows => IsGated ? 2 * Width : Width;

    /// <summary>Who chooses.</summary>
    public required RouterConfig Router { get; init; }

    /// <summary>The activation of the gates.</summary>
    public Activation Activation { get; init; } = Activation.Silu;

    /// <summary>Name of the experts' module below the path; empty where their tensors lie in the path itself.</summary>
    public string ExpertsName { get; init; } = "experts";

    /// <summary>What the folder calls their matrices.</summary>
    public ExpertNames Names { get; init; } = ExpertNames.Usual;

    /// <summary>Stored matrices multiply from the right, [experts, in, out].</summary>
    public bool IsTransposed { get; init; }

    /// <summary>gpt-oss: gates and ups alternate, both have biases, gates are cut at 7 and ups at plus and minus 7, and the result is (up + 1) * gate *
    /// sigmoid(1.702 gate).</summary>
    public bool IsClamped { get; init; }

    /// <summary>Epsilon of the router's norm.</summary>
    public double Epsilon { get; init; } = 1e-6;

    /// <summary>The block for all tokens, or null.</summary>
    public DenseFeedForward? Shared { get; init; }

    /// <summary>Module name of the shared block's gate, a linear with one output whose sigmoid multiplies it; or null.</summary>
    public string? SharedGateName { get; init; }

    /// <summary>Path of the router's tensors below the layer.</summary>
    public string RouterPath => Below(Router.Name);

    /// <summary>Path of the router's correction below the layer.</summary>
    public string CorrectionPath => Router.CorrectionName is { } name ? Below(name) : $"{RouterPath}.e_score_correction_bias";

    /// <inheritdoc/>
    public override string Name => "mixture of experts";

    internal override IEnumerable<ModuleBlueprint> Draw(LayerPath path)
    {
        if (Shared is not null)
        {
            foreach (var module in Shared.Draw(path)) yield return module with { Role = ModuleRole.Part };
            if (SharedGateName is not null) yield return path.Linear($"{Path}.{SharedGateName}", 1, path.Hidden);
        }
        if (LatentWidth is { } latent)
        {
            yield return path.Linear(LatentPaths.In, latent, path.Hidden, LatentBias);
            yield return path.Linear(LatentPaths.Out, path.Hidden, latent, LatentBias);
        }
        yield return Stored(path.Parameter($"{RouterPath}.{Router.WeightName}", Experts, path.Hidden));
        if (Router.HasBias) yield return Stored(path.Parameter($"{RouterPath}.bias", Experts));
        if (Router.HasCorrection) yield return Stored(path.Parameter(CorrectionPath, Experts));
        if (Router.HasNorm) yield return Stored(path.Parameter($"{RouterPath}.scale", path.Hidden));
        if (Router.HasExpertScales) yield return Stored(path.Parameter($"{RouterPath}.per_expert_scale", Experts));
        yield return Stored(path.Experts(Below(ExpertsName), this));
    }

    private string Below(string name) => name.Length == 0 ? Path : Path.Length == 0 ? name : $"{Path}.{name}";

    // The last layer's names of the module tree are those of the folder but for the block's own.
    private ModuleBlueprint Stored(ModuleBlueprint module)
        => StoredPath is null ? module : module with { StoredPath = module.Path.Replace($".{Path}.", $".{StoredPath}.", StringComparison.Ordinal) };
}
