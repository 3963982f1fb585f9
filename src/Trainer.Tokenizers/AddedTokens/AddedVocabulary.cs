using Trainer.Tokenizers.Alignment;
using Trainer.Tokenizers.Normalizers;

namespace Trainer.Tokenizers.AddedTokens;

/// <summary>All added tokens of a tokenizer, and how they are found in a text.</summary>
internal sealed class AddedVocabulary
{
    private readonly Dictionary<int, AddedToken> _byId = [];
    private readonly Dictionary<string, int> _ids = new(StringComparer.Ordinal);
    private readonly Dictionary<int, string> _normalized = [];
    private readonly HashSet<string> _special = new(StringComparer.Ordinal);
    private readonly AddedTokenMatcher? _plainMatcher;
    private readonly AddedTokenMatcher? _normalizedMatcher;
    private readonly INormalizer? _normalizer;

    public AddedVocabulary(IEnumerable<AddedToken> tokens, INormalizer? normalizer)
    {
        _normalizer = normalizer;
        foreach (var token in tokens)
        {
            _byId[token.Id] = token;
            _ids[token.Content] = token.Id;
            if (token.Special)
                _special.Add(token.Content);
            if (token.Normalized && normalizer is not null && Normalize(token.Content) is var changed && changed != token.Content)
                _normalized[token.Id] = changed;
        }
        var plain = _byId.Values.Where(token => !token.Normalized).Select(token => (token.Content, token)).ToArray();
        var other = _byId.Values.Where(token => token.Normalized).Select(token => (_normalized.GetValueOrDefault(token.Id, token.Content), token)).ToArray();
        _plainMatcher = plain.Length > 0 ? new AddedTokenMatcher(plain) : null;
        _normalizedMatcher = other.Length > 0 ? new AddedTokenMatcher(other) : null;
    }

    public IReadOnlyCollection<AddedToken> Tokens => _byId.Values;

    /// <summary>A token of which the normalizer leaves nothing, or null; the reference finds it between any two letters.</summary>
    public AddedToken? Vanishing => _byId.Values.FirstOrDefault(token => _normalized.GetValueOrDefault(token.Id) is "");

    public int? IdOf(string content) => _ids.TryGetValue(content, out var id) ? id : null;

    public bool Contains(int id) => _byId.ContainsKey(id);

    public bool IsSpecial(int id) => _byId.TryGetValue(id, out var token) && token.Special;

    /// <summary>The text that decoders see: the normalized one where the token is matched normalized.</summary>
    public string? DecodedTextOf(int id) => _normalized.GetValueOrDefault(id) ?? _byId.GetValueOrDefault(id)?.Content;

    public string? ContentOf(int id) => _byId.GetValueOrDefault(id)?.Content;

    /// <summary>Whether skipping special tokens drops a text; the reference asks the decoded text, not the id.</summary>
    public bool IsSpecialText(string text) => _special.Contains(text);

    /// <summary>Finds tokens in the plain text, normalizes what is left, and finds those that are matched normalized.</summary>
    public PieceText Extract(string text)
    {
        var input = new AlignedText(text.ToCharArray(), text.Length, 0);
        var pieces = new List<Piece>();
        if (text.Length == 0)
            return new PieceText(input, pieces);
        if (_plainMatcher is null)
            pieces.Add(new Piece(0, text.Length));
        else
            _plainMatcher.Cut(text, 0, pieces);
        if (_normalizer is null && _normalizedMatcher is null)
            return new PieceText(input, pieces);
        if (pieces is [{ TokenId: < 0 }])
            return Again(_normalizer?.Apply(input) ?? input);
        return Again(input, pieces);
    }

    private PieceText Again(AlignedText text)
    {
        var pieces = new List<Piece>();
        CutNormalized(text.Span, 0, pieces);
        return new PieceText(text, pieces);
    }

    private PieceText Again(AlignedText input, List<Piece> pieces)
    {
        var builder = new AlignedTextBuilder(input.Length + 64);
        var result = new List<Piece>();
        foreach (var piece in pieces)
        {
            var begin = builder.Length;
            if (piece.TokenId >= 0)
            {
                builder.AppendSlice(input, piece.Begin, piece.End);
                result.Add(new Piece(begin, builder.Length, piece.TokenId));
                continue;
            }
            var part = new AlignedText(input.Slice(piece.Begin, piece.End).ToArray(), piece.End - piece.Begin, piece.Begin);
            part = _normalizer?.Apply(part) ?? part;
            builder.AppendSlice(part, 0, part.Length);
            CutNormalized(part.Span, begin, result);
        }
        return new PieceText(builder.Build(0), result);
    }

    private void CutNormalized(ReadOnlySpan<char> text, int shift, List<Piece> pieces)
    {
        if (text.Length == 0)
            return;
        if (_normalizedMatcher is null)
            pieces.Add(new Piece(shift, shift + text.Length));
        else
            _normalizedMatcher.Cut(text, shift, pieces);
    }

    private string Normalize(string content)
    {
        var text = _normalizer!.Apply(new AlignedText(content.ToCharArray(), content.Length, 0));
        return new string(text.Span);
    }
}
