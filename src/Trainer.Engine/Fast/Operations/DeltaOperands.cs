using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Operations;

/// <summary>Operands of one layer's gated delta rule.</summary>
/// <param name="Config">Its heads and sizes.</param>
/// <param name="Mixed">(T, channels): queries, keys and values of all heads, queries and keys of any length.</param>
/// <param name="Strength">b before its sigmoid (T, value heads).</param>
/// <param name="Step">a (T, value heads): g = -exp(DecayLog) softplus(a + Shift).</param>
/// <param name="DecayLog">(value heads).</param>
/// <param name="Shift">(value heads).</param>
internal readonly record struct DeltaOperands(GatedDelta Config, Place Mixed, Place Strength, Place Step, Place DecayLog, Place Shift);
