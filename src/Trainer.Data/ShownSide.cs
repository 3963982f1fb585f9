namespace Trainer.Data;

/// <summary>One answer of a preference row, behind its prompt.</summary>
/// <param name="Role">Which answer it is.</param>
/// <param name="Row">The prompt with it, as a row of its own.</param>
public sealed record ShownSide(SegmentRole Role, ShownRow Row);
