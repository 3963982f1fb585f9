namespace Trainer.Engine;

/// <summary>Where a run stands; dropout masks are a pure function of it, so a resumed run draws the same masks.</summary>
/// <param name="Seed">Seed of the run.</param>
/// <param name="Step">Optimizer steps made so far.</param>
/// <param name="MicroStep">Micro-batch within the step (over all ranks).</param>
/// <param name="FirstRow">Rows of a module's input that came before these: the head takes its rows in chunks, which must not share a mask.</param>
public readonly record struct StepKey(int Seed, long Step, int MicroStep, long FirstRow = 0);
