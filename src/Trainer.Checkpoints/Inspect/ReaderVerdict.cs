namespace Trainer.Checkpoints.Inspect;

/// <summary>Whether a program loads an adapter.</summary>
/// <param name="Reader">PEFT, vLLM or llama.cpp.</param>
/// <param name="Loads">Whether it does, with the same result.</param>
/// <param name="Reasons">Why not; empty for a yes.</param>
/// <param name="Note">What has to be typed or known for a yes, or null.</param>
public sealed record ReaderVerdict(string Reader, bool Loads, IReadOnlyList<string> Reasons, string? Note);
