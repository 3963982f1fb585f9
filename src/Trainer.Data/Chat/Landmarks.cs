namespace Trainer.Data.Chat;

/// <summary>Where words of a turn lie in a text, with no other turn's words between them.</summary>
/// <param name="Kinds">What they are.</param>
/// <param name="First">Where the first begins.</param>
/// <param name="Last">Where the last ends.</param>
/// <param name="Before">The template's text between the words of the turn before and the first; null where it is not known.</param>
/// <param name="After">The template's text between the last and the words of the next turn; null where it is not known.</param>
internal sealed record Landmark(IReadOnlyList<PieceKind> Kinds, int First, int Last, string? Before, string? After);

/// <summary>
/// Finds the words of turns in a rendered text: the turn's pieces are replaced by unique words, and what stands before the first and behind the
/// last of them must stand at the beginning and the end of the text itself.
/// </summary>
internal sealed class Landmarks(Renders renders, string whole)
{
    private readonly Dictionary<int, IReadOnlyList<Landmark>> _known = [];

    /// <summary>The turn's places: one, or several where the template writes another turn's words amid its own (Gemma 4 puts a tool's answer before the words that came with the call). None where its words cannot be found.</summary>
    public IReadOnlyList<Landmark> Of(int turn)
    {
        if (_known.TryGetValue(turn, out var known)) return known;
        return _known[turn] = Find(turn, names: true) ?? Find(turn, names: false) ?? [];
    }

    /// <summary>The template's text between a word and the first word of a turn behind it, and the word's number.</summary>
    public static (string Text, int Word)? Lead(MarkedText marked, int turn) => Range(marked, turn, null) is { } range ? Before(marked, range.First) : null;

    /// <summary>The template's text from the nearest word before a place up to the place, and that word's number, -1 where none is.</summary>
    public static (string Text, int Word) Before(MarkedText marked, int place)
    {
        var (nearest, word) = (0, -1);
        for (var i = 0; i < marked.Pieces.Count; i++)
        {
            var at = marked.Text.AsSpan(0, place).LastIndexOf(marked.Pieces[i].Word, StringComparison.Ordinal);
            if (at >= 0 && at + marked.Pieces[i].Word.Length > nearest) (nearest, word) = (at + marked.Pieces[i].Word.Length, i);
        }
        return (marked.Text[nearest..place], word);
    }

    private List<Landmark>? Find(int turn, bool names)
    {
        var all = renders.AllMarked(whole, names);
        if (all is null || Range(all, turn, null) is not { } range) return Of(turn, names, null, all) is { } only ? [only] : null;
        if (!HoldsOthers(all, turn, range)) return Of(turn, names, null, all) is { } one ? [one] : null;
        // One kind after the other: words that stand apart are of different kinds.
        var places = new List<Landmark>();
        foreach (var kind in Enum.GetValues<PieceKind>())
        {
            if (Range(all, turn, kind) is not { } part) continue;
            if (HoldsOthers(all, turn, part) || Of(turn, names, kind, all) is not { } place) return null;
            places.Add(place);
        }
        return [.. places.OrderBy(place => place.First)];
    }

    private Landmark? Of(int turn, bool names, PieceKind? kind, MarkedText? all)
    {
        if (renders.Marked(turn, whole, names, kind) is not { } marked || Range(marked, turn, kind) is not { } range) return null;
        var head = marked.Text.AsSpan(0, range.First);
        if (!whole.AsSpan().StartsWith(head)) return null;
        var first = head.Length;
        var tail = marked.Text.AsSpan(range.Last);
        var last = whole.Length - tail.Length;
        IReadOnlyList<PieceKind> kinds = kind is { } one ? [one] : [.. marked.Pieces.Select(piece => piece.Kind).Distinct()];
        var (before, after) = all is not null && Range(all, turn, kind) is { } inAll ? (Before(all, inAll.First).Text, all.Text[inAll.Last..Next(all, inAll.Last)]) : (null, null);
        if (before is not null && !whole.AsSpan(0, first).EndsWith(before)) before = null;
        if (last < first || !whole.AsSpan().EndsWith(tail))
        {
            // A single name that an answer repeats: it is found by itself, and what follows it in the text follows it there.
            if (range.Word is not { } word || after is null || !whole.AsSpan(first).StartsWith(word.Text)) return null;
            last = first + word.Text.Length;
            if (!whole.AsSpan(last).StartsWith(after)) return null;
        }
        return new Landmark(kinds, first, last, before, after is not null && whole.AsSpan(last).StartsWith(after) ? after : null);
    }

    /// <summary>From the first to the last word of a turn, and the word where it is a single one. A call's name may be written again by the answer to it, so each word counts where it comes first.</summary>
    private static (int First, int Last, Piece? Word)? Range(MarkedText marked, int turn, PieceKind? kind)
    {
        var (first, last, count) = (int.MaxValue, -1, 0);
        Piece? word = null;
        foreach (var piece in marked.Pieces)
        {
            if (piece.Turn != turn || kind is not null && piece.Kind != kind) continue;
            var at = marked.Text.IndexOf(piece.Word, StringComparison.Ordinal);
            if (at < 0) continue;
            // Words that come twice say nothing of where the turn ends; only those of calls may.
            if (piece.Kind != PieceKind.Call && marked.Text.IndexOf(piece.Word, at + 1, StringComparison.Ordinal) >= 0) return null;
            (first, last) = (Math.Min(first, at), Math.Max(last, at + piece.Word.Length));
            word = count++ == 0 ? piece : null;
        }
        return last < 0 ? null : (first, last, word);
    }

    private static bool HoldsOthers(MarkedText marked, int turn, (int First, int Last, Piece? Word) range) =>
        marked.Pieces.Any(piece => piece.Turn != turn && marked.Text.AsSpan(range.First, range.Last - range.First).Contains(piece.Word, StringComparison.Ordinal));

    /// <summary>The beginning of the nearest word behind a place, or the end of the text.</summary>
    private static int Next(MarkedText marked, int place)
    {
        var nearest = marked.Text.Length;
        foreach (var piece in marked.Pieces)
        {
            var at = marked.Text.AsSpan(place).IndexOf(piece.Word, StringComparison.Ordinal);
            if (at >= 0) nearest = Math.Min(nearest, place + at);
        }
        return nearest;
    }
}
