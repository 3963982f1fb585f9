namespace Trainer.Engine;

/// <summary>Looks at a run of floats that is valid during the call only.</summary>
/// <param name="part">The floats.</param>
public delegate void ReadOnlySpanAction(ReadOnlySpan<float> part);
