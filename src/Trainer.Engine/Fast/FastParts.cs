using Trainer.Engine.Fast.PerLayer;

namespace Trainer.Engine.Fast;

/// <summary>The parts of a layer by hand.</summary>
/// <param name="Mixer">What carries information from token to token, or null.</param>
/// <param name="Block">What computes each token for itself, or null.</param>
/// <param name="Step">What it makes of its small input, or null.</param>
/// <param name="Scalar">Multiplier of its output.</param>
internal sealed record FastParts(IFastMixer? Mixer, IFastBlock? Block, FastPerLayerStep? Step, float Scalar);
