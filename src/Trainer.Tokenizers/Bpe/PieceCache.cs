namespace Trainer.Tokenizers.Bpe;

/// <summary>Pieces already encoded, bounded in number and length; when it is full it starts anew.</summary>
internal sealed class PieceCache
{
    public const int LongestPiece = 96;

    private const int Slots = 1 << 16;
    private const int MostPieces = Slots / 2;
    private const int MostCharacters = 1 << 20;

    private readonly Entry[] _entries = new Entry[Slots];
    private readonly char[] _characters = new char[MostCharacters];
    private (int Id, byte Begin, byte End)[] _tokens = new (int, byte, byte)[MostPieces];
    private int _pieceCount;
    private int _characterCount;
    private int _tokenCount;

    /// <summary>Tokens of a piece, or null; positions are relative to the piece.</summary>
    public bool TryGet(ReadOnlySpan<char> piece, int hash, out ReadOnlySpan<(int Id, byte Begin, byte End)> tokens)
    {
        for (var slot = hash & (Slots - 1); _entries[slot].Length > 0; slot = (slot + 1) & (Slots - 1))
        {
            ref var entry = ref _entries[slot];
            if (entry.Hash == hash && entry.Length == piece.Length && piece.SequenceEqual(_characters.AsSpan(entry.Begin, entry.Length)))
            {
                tokens = _tokens.AsSpan(entry.FirstToken, entry.TokenCount);
                return true;
            }
        }
        tokens = default;
        return false;
    }

    /// <summary>Remembers a piece of 1 to <see cref="LongestPiece"/> units.</summary>
    public void Add(ReadOnlySpan<char> piece, int hash, SymbolList symbols)
    {
        if (_pieceCount == MostPieces || _characterCount + piece.Length > MostCharacters)
        {
            Array.Clear(_entries);
            (_pieceCount, _characterCount, _tokenCount) = (0, 0, 0);
        }
        var slot = hash & (Slots - 1);
        while (_entries[slot].Length > 0)
            slot = (slot + 1) & (Slots - 1);
        if (_tokenCount + symbols.Count > _tokens.Length)
            Array.Resize(ref _tokens, Math.Max(_tokens.Length * 2, _tokenCount + symbols.Count));
        _entries[slot] = new Entry(hash, _characterCount, piece.Length, _tokenCount, symbols.Count);
        piece.CopyTo(_characters.AsSpan(_characterCount));
        for (var i = 0; i < symbols.Count; i++)
            _tokens[_tokenCount++] = (symbols.Id(i), (byte)symbols.Begin(i), (byte)symbols.End(i));
        _characterCount += piece.Length;
        _pieceCount++;
    }

    /// <summary>A hash of a short text.</summary>
    public static int HashOf(ReadOnlySpan<char> piece)
    {
        var hash = 14695981039346656037UL;
        foreach (var c in piece)
            hash = (hash ^ c) * 1099511628211UL;
        return (int)(hash ^ (hash >> 29));
    }

    private readonly record struct Entry(int Hash, int Begin, int Length, int FirstToken, int TokenCount);
}
