using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Operations;

/// <summary>Operands of a state-space mixer's scan.</summary>
/// <param name="Config">Heads and sizes.</param>
/// <param name="Mixed">(T, channels): values, B and C of all groups side by side, activated.</param>
/// <param name="Step">(T, heads) in rows of <paramref name="StepStride"/> floats: steps before shift and softplus.</param>
/// <param name="StepStride">Floats from a token's steps to the next.</param>
/// <param name="DecayLog">(heads): the logarithm of the decay's negative.</param>
/// <param name="Direct">(heads): what of a value goes straight into the output.</param>
/// <param name="Shift">(heads), added to the steps.</param>
internal readonly record struct StateOperands(Mamba2 Config, Place Mixed, Place Step, long StepStride, Place DecayLog, Place Direct, Place Shift);
