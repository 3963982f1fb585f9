namespace Trainer.Data;

/// <summary>Where a row came from: a file and its one-based line (or row number for formats without lines).</summary>
/// <param name="File">Path as the user gave it.</param>
/// <param name="Line">One-based line or row number.</param>
public readonly record struct RowSource(string File, long Line)
{
    /// <summary><c>file:line</c>, the form every message uses.</summary>
    public override string ToString() => $"{File}:{Line}";
}

/// <summary>One tokenized training example.</summary>
/// <param name="InputIds">Token ids, length n.</param>
/// <param name="Labels">Length n, unshifted as Hugging Face has them: the token's own id where it is trained, <see cref="IgnoredLabel"/> elsewhere; the first
/// token of each answer of a preference row carries <see cref="MarkerOf"/>.</param>
/// <param name="Weight">Multiplier of this row's loss, before division by the data set's mean weight.</param>
/// <param name="Source">The row's file and line.</param>
public sealed record Example(int[] InputIds, int[] Labels, float Weight, RowSource Source)
{
    /// <summary>The label of a token that carries no loss.</summary>
    public const int IgnoredLabel = -100;

    /// <summary>The label of the first token of a sequence with a role; <see cref="IgnoredLabel"/> for plain ones.</summary>
    public static int MarkerOf(SegmentRole role) => IgnoredLabel - (int)role;

    /// <summary>The role that a first token's label tells.</summary>
    public static SegmentRole RoleOf(int label) => label < IgnoredLabel ? (SegmentRole)(IgnoredLabel - label) : SegmentRole.Plain;
}
