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
    private readonly Lazy<IReadOnlyList<(int Start, int End, int Piece)>?> _aligned = new(() => renders.AllMarked(whole)?.Align(whole),
        LazyThreadSafetyMode.None);

    /// <summary>The turn's places: one, or several where the template writes another turn's words amid its own (Gemma 4 puts a tool's answer before the words
    /// that came with the call). None where its words cannot be found.</summary>
    public IReadOnlyList<Landmark> Of(int turn)
    {
        if (_known.TryGetValue(turn, out var known)) return known;
        return _known[turn] = Find(turn, names: true) ?? Find(turn, names: false) ?? [];
    }

    private List<Landmark>? Find(int turn, bool names)
    {
        var all = renders.AllMarked(whole, names);
        if (all is null || all.Range(turn, null) is not { } range) return Of(turn, names, null, all) is { } only ? [only] : null;
        if (!all.HoldsOthers(turn, range.First, range.Last)) return Of(turn, names, null, all) is { } one ? [one] : null;
        // One kind after the other: words that stand apart are of different kinds.
        var places = new List<(Landmark Mark, int First, int Last)>();
        foreach (var kind in Enum.GetValues<PieceKind>())
        {
            if (all.Range(turn, kind) is not { } part) continue;
            if (all.HoldsOthers(turn, part.First, part.Last) || Of(turn, names, kind, all) is not { } place) return null;
            places.Add((place, part.First, part.Last));
        }
        places.Sort((one, other) => one.Mark.First.CompareTo(other.Mark.First));
        for (var i = places.Count - 1; i > 0; i--)
        {
            var (before, after) = (places[i - 1], places[i]);
            if (all.HoldsOthers(turn, before.First, after.Last)) continue;
            places[i - 1] = (new Landmark([.. before.Mark.Kinds, .. after.Mark.Kinds], before.Mark.First, after.Mark.Last, before.Mark.Before,
                after.Mark.After), before.First, after.Last);
            places.RemoveAt(i);
        }
        return [.. places.Select(place => place.Mark)];
    }

    private Landmark? Of(int turn, bool names, PieceKind? kind, MarkedText? all)
    {
        // One render that shows every turn saves one for each of them.
        if (names && all is not null && _aligned.Value is { } aligned && all.Numbers(turn, kind) is { } numbers && all.Range(turn, kind) is { } place)
            return new Landmark(kind is { } only ? [only] : all.KindsOf(turn), aligned[numbers.First].Start, aligned[numbers.Last].End,
                all.Before(place.First).Text, all.After(place.Last));
        if (renders.Marked(turn, whole, names, kind) is not { } marked || marked.Range(turn, kind) is not { } range) return null;
        var head = marked.Text.AsSpan(0, range.First);
        if (!whole.AsSpan().StartsWith(head)) return null;
        var first = head.Length;
        var tail = marked.Text.AsSpan(range.Last);
        var last = whole.Length - tail.Length;
        IReadOnlyList<PieceKind> kinds = kind is { } one ? [one] : [.. marked.Pieces.Select(piece => piece.Kind).Distinct()];
        var (before, after) = all?.Range(turn, kind) is { } inAll ? (all.Before(inAll.First).Text, all.After(inAll.Last)) : (null, null);
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
}
