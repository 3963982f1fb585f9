using System.Collections.Concurrent;
using Trainer.Tokenizers.Alignment;

namespace Trainer.Tokenizers.Bpe;

/// <summary>
/// Byte-pair encoding: a piece is cut into letters, and neighbours are merged by rank until no merge applies
/// (Sennrich et al. 2016). Unknown letters become byte tokens, the unknown token, or nothing.
/// </summary>
internal sealed class BpeModel : IPieceModel
{
    private const char Mark = '▁';
    private const int MissingUnknown = -2;

    private readonly ConcurrentBag<BpeWorkspace> _workspaces = [];
    private readonly BpeOptions _options;
    private readonly Vocabulary _vocabulary;
    private readonly MergeTable _merges;
    private readonly int[] _letters = new int[0x10000];
    private readonly int[] _byteTokens = new int[256];
    private readonly int _unknown = -1;
    private readonly bool _cutsAtMark;

    public BpeModel(Vocabulary vocabulary, MergeTable merges, BpeOptions options, bool cutsAtMark)
    {
        (_vocabulary, _merges, _options) = (vocabulary, merges, options);
        for (var c = 0; c < _letters.Length; c++)
            _letters[c] = -1;
        foreach (var (token, id) in vocabulary.Tokens)
        {
            if (token.Length == 1)
                _letters[token[0]] = id;
        }
        for (var value = 0; value < 256; value++)
            _byteTokens[value] = vocabulary.IdOf($"<0x{value:X2}>") ?? -1;
        if (options.UnknownToken is { } unknown)
            _unknown = vocabulary.IdOf(unknown) ?? MissingUnknown;
        _cutsAtMark = cutsAtMark && !options.IgnoreMerges && options.ContinuingPrefix.Length == 0 && options.EndSuffix.Length == 0 && _letters[Mark] >= 0;
    }

    /// <summary>Encodes every piece that is not yet a token.</summary>
    public void Encode(PieceText input, TokenSink sink)
    {
        if (!_workspaces.TryTake(out var workspace))
            workspace = new BpeWorkspace();
        try
        {
            foreach (var piece in input.Pieces)
            {
                if (piece.TokenId >= 0)
                    sink.AddFound(piece.TokenId, input.Text, piece.Begin, piece.End);
                else if (_cutsAtMark)
                    EncodeByMarks(input.Text, piece, workspace, sink);
                else
                    EncodePiece(input.Text, piece.Begin, piece.End, workspace, sink);
            }
        }
        finally
        {
            _workspaces.Add(workspace);
        }
    }

    // No merge joins a letter to a mark behind it (checked at load), so the words between marks cannot influence one another.
    private void EncodeByMarks(AlignedText text, Piece piece, BpeWorkspace workspace, TokenSink sink)
    {
        var begin = piece.Begin;
        for (var i = begin + 1; i < piece.End; i++)
        {
            if (text.Chars[i] != Mark || text.Chars[i - 1] == Mark)
                continue;
            EncodePiece(text, begin, i, workspace, sink);
            begin = i;
        }
        EncodePiece(text, begin, piece.End, workspace, sink);
    }

    private void EncodePiece(AlignedText text, int begin, int end, BpeWorkspace workspace, TokenSink sink)
    {
        var piece = text.Slice(begin, end);
        if (_options.IgnoreMerges && _vocabulary.IdOf(piece) is { } whole)
        {
            sink.Add(whole, text, begin, end);
            return;
        }
        var hash = 0;
        if (piece.Length <= PieceCache.LongestPiece)
        {
            hash = PieceCache.HashOf(piece);
            if (workspace.Cache.TryGet(piece, hash, out var known))
            {
                foreach (var (id, from, to) in known)
                    sink.Add(id, text, begin + from, begin + to);
                return;
            }
        }
        var symbols = workspace.Symbols;
        symbols.Clear();
        Spell(piece, symbols);
        symbols.Merge(_merges);
        for (var i = 0; i < symbols.Count; i++)
            sink.Add(symbols.Id(i), text, begin + symbols.Begin(i), begin + symbols.End(i));
        if (piece.Length <= PieceCache.LongestPiece)
            workspace.Cache.Add(piece, hash, symbols);
    }

    private void Spell(ReadOnlySpan<char> piece, SymbolList symbols)
    {
        var pending = -1; // where a run of unknown letters began
        var pendingEnd = 0;
        for (var i = 0; i < piece.Length;)
        {
            var codePoint = Transformation.CodePointAt(piece, i);
            var end = i + (codePoint > 0xFFFF ? 2 : 1);
            var id = IdOfLetter(piece, codePoint, i, end);
            if (id >= 0)
            {
                if (pending >= 0)
                    symbols.Add(_unknown, pending, pendingEnd);
                pending = -1;
                symbols.Add(id, i, end);
            }
            // A run of unknown letters stays open over byte tokens: so does the reference.
            else if (!(_options.ByteFallback && SpellBytes(piece, codePoint, i, end, symbols)) && _unknown != -1)
            {
                if (_unknown == MissingUnknown)
                    throw new TokenizerException($"the text holds '{piece[i..end]}', which the vocabulary lacks, and so is the unknown token "
                        + $"'{_options.UnknownToken}' that should stand for it; add the token to the vocabulary in tokenizer.json");
                if (pending >= 0 && !_options.FuseUnknown)
                {
                    symbols.Add(_unknown, pending, pendingEnd);
                    pending = -1;
                }
                if (pending < 0)
                    pending = i;
                pendingEnd = end;
            }
            i = end;
        }
        if (pending >= 0)
            symbols.Add(_unknown, pending, pendingEnd);
    }

    private int IdOfLetter(ReadOnlySpan<char> piece, int codePoint, int begin, int end)
    {
        var prefix = begin > 0 ? _options.ContinuingPrefix : "";
        var suffix = end == piece.Length ? _options.EndSuffix : "";
        if (prefix.Length > 0 || suffix.Length > 0)
            return _vocabulary.IdOf(string.Concat(prefix, piece[begin..end], suffix)) ?? -1;
        return codePoint < 0x10000 ? _letters[codePoint] : _vocabulary.IdOf(piece[begin..end]) ?? -1;
    }

    private bool SpellBytes(ReadOnlySpan<char> piece, int codePoint, int begin, int end, SymbolList symbols)
    {
        // The reference spells the letter with its prefix and suffix, if it has any.
        var prefix = begin > 0 ? _options.ContinuingPrefix : "";
        var suffix = end == piece.Length ? _options.EndSuffix : "";
        var bytes = System.Text.Encoding.UTF8.GetBytes(string.Concat(prefix, char.ConvertFromUtf32(codePoint), suffix));
        if (Array.Exists(bytes, value => _byteTokens[value] < 0))
            return false;
        foreach (var value in bytes)
            symbols.Add(_byteTokens[value], begin, end);
        return true;
    }
}
