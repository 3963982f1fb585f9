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
/// <param name="Labels">Length n, unshifted as Hugging Face has them: the token's own id where it is trained, <see cref="IgnoredLabel"/> elsewhere.</param>
/// <param name="Weight">Multiplier of this row's loss, before division by the data set's mean weight.</param>
/// <param name="Source">The row's file and line.</param>
public sealed record Example(int[] InputIds, int[] Labels, float Weight, RowSource Source)
{
    /// <summary>The label of a token that carries no loss.</summary>
    public const int IgnoredLabel = -100;
}
