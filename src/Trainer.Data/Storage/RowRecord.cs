using System.Runtime.InteropServices;

namespace Trainer.Data.Storage;

/// <summary>What is known of an example without its tokens; 40 bytes, as they lie in a cache file.</summary>
/// <param name="Position">Where its tokens lie.</param>
/// <param name="Line">Line of the row it was made of.</param>
/// <param name="Check">Checksum of its ids and labels.</param>
/// <param name="Length">Tokens.</param>
/// <param name="Trained">Targets that carry loss.</param>
/// <param name="File">Number of the row's file.</param>
/// <param name="Weight">The row's weight.</param>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
internal readonly record struct RowRecord(long Position, long Line, ulong Check, int Length, int Trained, int File, float Weight)
{
    /// <summary>Whether two examples are parts of one row.</summary>
    public bool IsOfRow(RowRecord other) => Line == other.Line && File == other.File;
}
