namespace Trainer.Data.Chat;

/// <summary>A text rendered with words in place of pieces, and where each word stands in it.</summary>
internal sealed class MarkedText
{
    private readonly List<(int Start, int End, int Piece)> _places;
    private readonly int[] _first;

    public MarkedText(string text, Marks marks)
    {
        (Text, Pieces) = (text, marks.Pieces);
        _places = marks.Places(text);
        _first = new int[Pieces.Count];
        Array.Fill(_first, -1);
        for (var i = _places.Count - 1; i >= 0; i--) _first[_places[i].Piece] = i;
    }

    /// <summary>All of it.</summary>
    public string Text { get; }

    /// <summary>The pieces and their words, in the order of the conversation.</summary>
    public IReadOnlyList<Piece> Pieces { get; }

    /// <summary>
    /// Where the pieces stand in the text itself: the template's text between them must be the same in both, and each piece its own words, as they
    /// are, without blanks around them or escaped as JSON; together they must be the whole text. Null where they are not.
    /// </summary>
    /// <returns>Start and end of each place of <see cref="Text"/>, in its order.</returns>
    public IReadOnlyList<(int Start, int End, int Piece)>? Align(string whole)
    {
        var found = new List<(int, int, int)>(_places.Count);
        var (at, read) = (0, 0);
        for (var p = 0; p < _places.Count; p++)
        {
            var between = Text.AsSpan(read, _places[p].Start - read);
            if (!whole.AsSpan(at).StartsWith(between)) return null;
            at += between.Length;
            read = _places[p].End;
            var next = Text.AsSpan(read, (p + 1 < _places.Count ? _places[p + 1].Start : Text.Length) - read);
            if (Length(whole, at, Pieces[_places[p].Piece].Text, next) is not { } length) return null;
            found.Add((at, at + length, _places[p].Piece));
            at += length;
        }
        return whole.AsSpan(at).SequenceEqual(Text.AsSpan(read)) ? found : null;
    }

    /// <summary>How many chars a piece takes in the text, so that what follows it follows there.</summary>
    private static int? Length(string whole, int at, string piece, ReadOnlySpan<char> next)
    {
        foreach (var form in Forms(piece))
            if (string.CompareOrdinal(whole, at, form, 0, form.Length) == 0 && whole.AsSpan(Math.Min(whole.Length, at + form.Length)).StartsWith(next))
                return form.Length;
        return null;
    }

    private static IEnumerable<string> Forms(string piece)
    {
        yield return piece;
        yield return piece.Trim();
        yield return piece.TrimStart();
        yield return piece.TrimEnd();
        yield return piece.Trim('\n');
        yield return piece.TrimStart('\n');
        yield return piece.TrimEnd('\n');
        yield return Conversations.PythonJson.Escaped(piece);
        yield return Conversations.PythonJson.Escaped(piece.Trim());
    }

    /// <summary>Whether the text holds every word of a kind of a turn.</summary>
    public bool Shows(int turn, PieceKind kind)
    {
        for (var p = 0; p < Pieces.Count; p++)
            if (Pieces[p].Turn == turn && Pieces[p].Kind == kind && _first[p] < 0) return false;
        return true;
    }

    /// <summary>The first places of a turn's words (of one kind, or of all), by their numbers among all places.</summary>
    public (int First, int Last)? Numbers(int turn, PieceKind? kind)
    {
        var (first, last) = (int.MaxValue, -1);
        for (var i = 0; i < _places.Count; i++)
        {
            var piece = Pieces[_places[i].Piece];
            if (piece.Turn != turn || kind is not null && piece.Kind != kind || _first[_places[i].Piece] != i) continue;
            (first, last) = (Math.Min(first, i), Math.Max(last, i));
        }
        return last < 0 ? null : (first, last);
    }

    /// <summary>From the first to the last word of a turn (of one kind, or of all), and the word where it is a single one; null where none stands there, or one
    /// that must not comes twice.</summary>
    /// <remarks>A call's name may be written again by the answer to it, so each word counts where it comes first.</remarks>
    public (int First, int Last, Piece? Word)? Range(int turn, PieceKind? kind)
    {
        var (first, last, count) = (int.MaxValue, -1, 0);
        Piece? word = null;
        var isOnce = new HashSet<int>();
        foreach (var (start, end, p) in _places)
        {
            var piece = Pieces[p];
            if (piece.Turn != turn || kind is not null && piece.Kind != kind) continue;
            if (!isOnce.Add(p))
            {
                if (piece.Kind != PieceKind.Call) return null;
                continue;
            }
            (first, last) = (Math.Min(first, start), Math.Max(last, end));
            word = count++ == 0 ? piece : null;
        }
        return last < 0 ? null : (first, last, word);
    }

    /// <summary>The kinds of a turn's pieces.</summary>
    public IReadOnlyList<PieceKind> KindsOf(int turn) => [.. Pieces.Where(piece => piece.Turn == turn).Select(piece => piece.Kind).Distinct()];

    /// <summary>Whether words of other turns stand in a range.</summary>
    public bool HoldsOthers(int turn, int from, int to) => _places.Exists(place => place.Start >= from && place.End <= to && Pieces[place.Piece].Turn != turn);

    /// <summary>The template's text from the nearest word before a place up to the place, and that word's number, -1 where none is.</summary>
    public (string Text, int Word) Before(int place)
    {
        var at = _places.FindLastIndex(each => each.End <= place);
        return at < 0 ? (Text[..place], -1) : (Text[_places[at].End..place], _places[at].Piece);
    }

    /// <summary>The template's text from a place to the nearest word behind it.</summary>
    public string After(int place)
    {
        var at = _places.FindIndex(each => each.Start >= place);
        return at < 0 ? Text[place..] : Text[place.._places[at].Start];
    }
}
