namespace Trainer.Engine.Weights;

/// <summary>A weight over a mapped file whose large parts may be used from other memory for a while.</summary>
/// <remarks>Wherever it is placed, the bytes must be those of the file: the mapping stays right throughout, so an unplaced weight is slow and never
/// wrong.</remarks>
internal interface IStreamedWeight
{
    /// <summary>Address and length of each large part in the mapping; empty where the weight has memory of its own.</summary>
    IReadOnlyList<(IntPtr Start, long Length)> MappedParts { get; }

    /// <summary>Uses copies of the parts, one address each, until further notice.</summary>
    void Place(ReadOnlySpan<IntPtr> parts);

    /// <summary>Uses the mapping again.</summary>
    void PlaceHome();
}
