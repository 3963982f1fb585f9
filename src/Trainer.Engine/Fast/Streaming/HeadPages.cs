using Trainer.Engine.Native;
using Trainer.Engine.Weights;
using Trainer.Models;

namespace Trainer.Engine.Fast.Streaming;

/// <summary>Reads the head of a streamed base a panel ahead of its use and lets each panel go after it, so that no more than one is resident.</summary>
/// <remarks>It goes through the mapping in any case: where layers are read past the page cache, the cache has room for the head.</remarks>
internal sealed unsafe class HeadPages(DenseWeight weight)
{
    private const long ReadAhead = 16 << 20;
    private readonly byte* _start = (byte*)TorchMemory.Pointer(weight.Stored);
    private readonly long _rowBytes = weight.ByteCount / weight.Rows;
    private long _begin;
    private long _end;

    /// <summary>Whether a matrix is this head.</summary>
    public bool Covers(IFrozenWeight other) => ReferenceEquals(other, weight);

    /// <summary>Rows are about to be read; those read before go.</summary>
    /// <exception cref="ModelException">The file does not give them.</exception>
    public void Enter(long row, long count)
    {
        MappedPages.Drop(_start + _begin, _end - _begin);
        (_begin, _end) = (row * _rowBytes, (row + count) * _rowBytes);
        if (!MappedPages.TryPopulate(_start + _begin, _end - _begin))
            throw new ModelException("the head of the streamed base cannot be read: its file was cut off, or the disk does not give it; check the disk and "
                + "the file");
        MappedPages.WillNeed(_start + _end, Math.Min(ReadAhead, weight.ByteCount - _end));
    }

    /// <summary>Everything goes.</summary>
    public void DropAll() => MappedPages.Drop(_start, weight.ByteCount);
}
