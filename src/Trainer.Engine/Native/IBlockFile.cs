using Trainer.Models;

namespace Trainer.Engine.Native;

/// <summary>A file that is read in whole blocks, by several threads at once.</summary>
internal unsafe interface IBlockFile : IDisposable
{
    /// <summary>Where it lies.</summary>
    string Path { get; }

    /// <summary>Reads whole blocks; what lies beyond the end of the file stays as it is.</summary>
    /// <param name="offset">First byte, at a block.</param>
    /// <param name="target">Where to, at a block.</param>
    /// <param name="length">Bytes, whole blocks.</param>
    /// <param name="needed">Bytes of them that must be there.</param>
    /// <param name="stop">Looked at between parts.</param>
    /// <exception cref="ModelException">The file is shorter, or the disk does not give it.</exception>
    void Read(long offset, byte* target, long length, long needed, CancellationToken stop);
}
