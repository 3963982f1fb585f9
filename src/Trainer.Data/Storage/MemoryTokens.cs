namespace Trainer.Data.Storage;

/// <summary>Tokens in memory: rows behind each other in chunks, ids then labels. A position is chunk and offset.</summary>
internal sealed class MemoryTokens : ITokenWriter
{
    private const int ChunkLength = 1 << 18;
    private readonly List<int[]> _chunks = [];
    private int _used = ChunkLength;

    public long Write(int[] ids, int[] labels)
    {
        var need = ids.Length + labels.Length;
        if (_chunks.Count == 0 || _used + need > _chunks[^1].Length)
        {
            _chunks.Add(new int[Math.Max(ChunkLength, need)]);
            _used = 0;
        }
        var position = ((long)(_chunks.Count - 1) << 32) | (uint)_used;
        ids.CopyTo(_chunks[^1], _used);
        labels.CopyTo(_chunks[^1], _used + ids.Length);
        _used += need;
        return position;
    }

    public TokenStore Finish(RowIndex index, DataStatistics statistics) => new Store(_chunks, index, statistics);

    public void Dispose() { }

    private sealed class Store(List<int[]> chunks, RowIndex index, DataStatistics statistics) : TokenStore(index, statistics)
    {
        public override (int[] Ids, int[] Labels) Read(int row)
        {
            var (chunk, at) = ((int)(Index.Position[row] >> 32), (int)(uint)Index.Position[row]);
            var length = Index.Length[row];
            return (chunks[chunk][at..(at + length)], chunks[chunk][(at + length)..(at + 2 * length)]);
        }
    }
}
