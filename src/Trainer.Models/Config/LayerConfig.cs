namespace Trainer.Models;

/// <summary>What may differ from layer to layer.</summary>
/// <param name="SlidingWindow">Keys a query sees, itself included (i - j &lt; window), or null for all earlier ones.</param>
/// <param name="Rope">Index into <see cref="ModelConfig.Ropes"/>, or -1 for a layer without rotary embedding.</param>
public sealed record LayerConfig(int? SlidingWindow, int Rope);
