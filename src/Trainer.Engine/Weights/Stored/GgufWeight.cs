using Trainer.Checkpoints.Gguf;

namespace Trainer.Engine.Weights.Stored;

/// <summary>A matrix in the blocks of a GGUF type, over a mapped file; rows are whole blocks.</summary>
internal sealed unsafe class GgufWeight : RowWeight
{
    private readonly GgufTensorType _type;
    private readonly byte* _codes;
    private readonly long _blockElements, _blockBytes, _rowBytes;

    public GgufWeight(GgufTensorType type, long rows, long columns, byte* codes) : base(rows, columns)
    {
        _type = type;
        _codes = codes;
        (_blockElements, _blockBytes) = type.Block()!.Value;
        _rowBytes = columns / _blockElements * _blockBytes;
    }

    public override WeightForm Form => WeightForm.Gguf;

    public override long ByteCount => Rows * _rowBytes;

    public override void Read(long row, long columnBegin, long columnCount, float* destination)
    {
        var values = stackalloc float[GgufDecoder.LargestBlock];
        for (long at = columnBegin, end = columnBegin + columnCount; at < end;)
        {
            var (block, from) = Math.DivRem(at, _blockElements);
            var source = _codes + row * _rowBytes + block * _blockBytes;
            var count = Math.Min(end - at, _blockElements - from);
            if (count == _blockElements) GgufDecoder.Decode(_type, source, destination + (at - columnBegin));
            else
            {
                GgufDecoder.Decode(_type, source, values);
                new ReadOnlySpan<float>(values + from, (int)count).CopyTo(new Span<float>(destination + (at - columnBegin), (int)count));
            }
            at += count;
        }
    }

    /// <summary>The blocks lie in the mapped file, which is not this weight's.</summary>
    public override void Dispose()
    {
    }
}
