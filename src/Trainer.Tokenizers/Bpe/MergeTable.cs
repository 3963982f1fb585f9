namespace Trainer.Tokenizers.Bpe;

/// <summary>Pair of tokens to rank, in one flat open-addressing table; the product of each rank beside it.</summary>
internal sealed class MergeTable
{
    public const int None = int.MaxValue;

    private const ulong Free = ulong.MaxValue;

    private readonly ulong[] _keys;
    private readonly int[] _ranks;
    private readonly int[] _products;
    private readonly int _shift;

    /// <summary>Builds the table; of two merges of one pair the later counts.</summary>
    /// <param name="merges">Left, right and product, by rank; products of one pair may share a rank.</param>
    /// <param name="rankCount">One more than the highest rank.</param>
    public MergeTable(IReadOnlyCollection<(int Left, int Right, int Product, int Rank)> merges, int rankCount)
    {
        var bits = 4;
        while (1L << bits < merges.Count * 2L)
            bits++;
        _shift = 64 - bits;
        _keys = new ulong[1 << bits];
        _ranks = new int[1 << bits];
        _products = new int[1 << bits];
        Array.Fill(_keys, Free);
        RankCount = rankCount;
        foreach (var (left, right, product, rank) in merges)
        {
            var slot = Slot(Key(left, right));
            _keys[slot] = Key(left, right);
            (_ranks[slot], _products[slot]) = (rank, product);
        }
    }

    public int RankCount { get; }

    /// <summary>Rank of a pair, or <see cref="None"/>.</summary>
    public int Rank(int left, int right)
    {
        var slot = Slot(Key(left, right));
        return _keys[slot] == Free ? None : _ranks[slot];
    }

    /// <summary>What a pair becomes.</summary>
    public int Product(int left, int right) => _products[Slot(Key(left, right))];

    private static ulong Key(int left, int right) => ((ulong)(uint)left << 32) | (uint)right;

    private int Slot(ulong key)
    {
        var mask = _keys.Length - 1;
        var slot = (int)((key * 0x9E3779B97F4A7C15UL) >> _shift);
        while (_keys[slot] != key && _keys[slot] != Free)
            slot = (slot + 1) & mask;
        return slot;
    }
}
