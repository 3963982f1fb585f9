using Trainer.Models.Config;

namespace Trainer.Models.Parts;

/// <summary>One feed-forward block for all tokens: down(act(gate x) * up x), or down(act(up x)) without a gate.</summary>
public sealed record DenseFeedForward : FeedForward
{
    /// <summary>Module path below the layer.</summary>
    public string Path { get; init; } = "mlp";

    /// <summary>Width inside.</summary>
    public required int Width { get; init; }

    /// <summary>The activation of the gate, or of up where there is none.</summary>
    public Activation Activation { get; init; } = Activation.Silu;

    /// <summary>Whether there is a gate.</summary>
    public bool IsGated { get; init; } = true;

    /// <summary>Whether the projections have biases.</summary>
    public bool HasBias { get; init; }

    /// <summary>Module name of gate and up in one matrix, in this order, or null.</summary>
    public string? FusedName { get; init; }

    /// <summary>Module name of the gate.</summary>
    public string GateName { get; init; } = "gate_proj";

    /// <summary>Module name of up.</summary>
    public string UpName { get; init; } = "up_proj";

    /// <summary>Module name of down.</summary>
    public string DownName { get; init; } = "down_proj";

    /// <summary>Share of the gate's values that are cut off, as of a normal distribution, before the activation; 0 cuts none.</summary>
    public double Sparsity { get; init; }

    /// <summary>Multiplier of the gate before its activation.</summary>
    public double GateMultiplier { get; init; } = 1;

    /// <summary>Multiplier of the result.</summary>
    public double DownMultiplier { get; init; } = 1;

    /// <inheritdoc/>
    public override string Name => "dense feed-forward block";

    internal override IEnumerable<ModuleBlueprint> Draw(LayerPath path)
    {
        if (FusedName is not null)
            yield return path.Linear($"{Path}.{FusedName}", ModuleRole.GateUp, 2L * Width, path.Hidden, HasBias);
        else
        {
            if (IsGated) yield return path.Linear($"{Path}.{GateName}", ModuleRole.Gate, Width, path.Hidden, HasBias);
            yield return path.Linear($"{Path}.{UpName}", ModuleRole.Up, Width, path.Hidden, HasBias);
        }
        yield return path.Linear($"{Path}.{DownName}", ModuleRole.Down, path.Hidden, Width, HasBias);
        if (Activation != Activation.Xielu) yield break;
        yield return path.Parameter($"{Path}.act_fn.alpha_p", 1);
        yield return path.Parameter($"{Path}.act_fn.alpha_n", 1);
        yield return path.Parameter($"{Path}.act_fn.beta");
        yield return path.Parameter($"{Path}.act_fn.eps");
    }
}
