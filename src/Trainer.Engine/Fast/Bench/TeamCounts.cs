namespace Trainer.Engine.Fast.Bench;

/// <summary>What went through a simulated team.</summary>
/// <param name="Loops">Loops.</param>
/// <param name="Chunks">Their chunks.</param>
/// <param name="LoopSeconds">Modelled seconds of the loops; the rest of a step is one thread's.</param>
/// <param name="NarrowLoops">Loops with fewer chunks than cores.</param>
/// <param name="NarrowSeconds">Modelled seconds of these.</param>
public sealed record TeamCounts(long Loops, long Chunks, double LoopSeconds, long NarrowLoops, double NarrowSeconds);
