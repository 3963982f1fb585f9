namespace Trainer.Models.Parts;

/// <summary>Attention and a state-space mixer that read the same input and are added, each with a multiplier (Falcon H1).</summary>
/// <param name="Attention">Attention.</param>
/// <param name="Mamba">The other mixer.</param>
public sealed record SideBySide(SelfAttention Attention, Mamba2 Mamba) : TokenMixer
{
    /// <summary>Multiplier of attention's input.</summary>
    public double AttentionInput { get; init; } = 1;

    /// <summary>Multiplier of attention's output.</summary>
    public double AttentionOutput { get; init; } = 1;

    /// <summary>Multiplier of the other mixer's output.</summary>
    public double MambaOutput { get; init; } = 1;

    /// <inheritdoc/>
    public override string Name => "Mamba-2 beside attention";

    internal override IEnumerable<ModuleBlueprint> Draw(LayerPath path) => Mamba.Draw(path).Concat(Attention.Draw(path));
}
