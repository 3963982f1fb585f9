namespace Trainer.Data.Storage;

/// <summary>Tokens in memory: rows behind each other in chunks, ids then labels. A position is chunk and offset.</summary>
internal sealed class MemoryTokens : ITokenWriter
{
    private const int ChunkLength = 1 << 18;
    private readonly List<int[]> _chunks = [];
    private readonly List<RowRecord> _records = [];
    private int _used = ChunkLength;

    public int Count => _records.Count;

    public void Write(int[] ids, int[] labels, RowRecord record)
    {
        var need = ids.Length + labels.Length;
        if (_chunks.Count == 0 || _used + need > _chunks[^1].Length)
        {
            _chunks.Add(new int[Math.Max(ChunkLength, need)]);
            _used = 0;
        }
        _records.Add(record with { Position = ((long)(_chunks.Count - 1) << 32) | (uint)_used });
        ids.CopyTo(_chunks[^1], _used);
        labels.CopyTo(_chunks[^1], _used + ids.Length);
        _used += need;
    }

    public TokenStore Finish(DataStatistics statistics) => new Store(_chunks, _records, statistics);

    public void Dispose() { }

    private sealed class Store(List<int[]> chunks, List<RowRecord> records, DataStatistics statistics) : TokenStore(records.Count, statistics)
    {
        public override RowRecord Record(int row) => records[row];

        public override IEnumerable<RowRecord> Records() => records;

        public override (int[] Ids, int[] Labels) Read(RowRecord record)
        {
            var (chunk, at) = ((int)(record.Position >> 32), (int)(uint)record.Position);
            return (chunks[chunk][at..(at + record.Length)], chunks[chunk][(at + record.Length)..(at + 2 * record.Length)]);
        }
    }
}
