using Trainer.Tokenizers.Alignment;
using Trainer.Tokenizers.Patterns;

namespace Trainer.Tokenizers.PreTokenizers;

/// <summary>Cuts pieces where a pattern matches.</summary>
/// <param name="matcher">The pattern.</param>
/// <param name="behavior">What becomes of the matches.</param>
/// <param name="invert">Whether what lies between the matches counts as the match.</param>
internal sealed class Splitter(IMatcher matcher, SplitBehavior behavior, bool invert = false) : IPreTokenizer
{
    public PieceText Apply(PieceText input)
    {
        var pieces = new List<Piece>(Math.Max(input.Pieces.Count, input.Text.Length / 5));
        var matches = new MatchList();
        foreach (var piece in input.Pieces)
        {
            if (piece.TokenId >= 0)
                pieces.Add(piece);
            else
                Split(input.Text.Slice(piece.Begin, piece.End), piece.Begin, matches, pieces);
        }
        return new PieceText(input.Text, pieces);
    }

    private void Split(ReadOnlySpan<char> text, int shift, MatchList matches, List<Piece> pieces)
    {
        matches.Clear();
        matcher.Find(text, matches);
        if (behavior == SplitBehavior.Isolated)
        {
            var done = 0;
            for (var i = 0; i < matches.Count; i++)
            {
                var (begin, end) = matches[i];
                Add(pieces, shift + done, shift + begin);
                Add(pieces, shift + begin, shift + end);
                done = end;
            }
            Add(pieces, shift + done, shift + text.Length);
            return;
        }
        foreach (var (begin, end) in Join(Parts(matches, text.Length)))
            Add(pieces, shift + begin, shift + end);
    }

    private static void Add(List<Piece> pieces, int begin, int end)
    {
        if (end > begin)
            pieces.Add(new Piece(begin, end));
    }

    /// <summary>Matches and gaps in order; empty matches are parts too.</summary>
    private List<(int Begin, int End, bool Match)> Parts(MatchList matches, int length)
    {
        var parts = new List<(int, int, bool)>(matches.Count * 2 + 1);
        var done = 0;
        for (var i = 0; i < matches.Count; i++)
        {
            var (begin, end) = matches[i];
            if (begin != done)
                parts.Add((done, begin, invert));
            parts.Add((begin, end, !invert));
            done = end;
        }
        if (done != length)
            parts.Add((done, length, invert));
        return parts;
    }

    private List<(int Begin, int End)> Join(List<(int Begin, int End, bool Match)> parts)
    {
        var joined = new List<(int Begin, int End)>(parts.Count);
        var previous = false;
        if (behavior == SplitBehavior.MergedWithNext)
        {
            for (var i = parts.Count - 1; i >= 0; i--)
            {
                var (begin, end, match) = parts[i];
                if (match && !previous && joined.Count > 0)
                    joined[^1] = (begin, joined[^1].End);
                else
                    joined.Add((begin, end));
                previous = match;
            }
            joined.Reverse();
            return joined;
        }
        foreach (var (begin, end, match) in parts)
        {
            var join = behavior switch
            {
                SplitBehavior.Contiguous => match == previous,
                SplitBehavior.MergedWithPrevious => match && !previous,
                _ => false,
            };
            if (behavior == SplitBehavior.Removed && match)
                continue;
            if (join && joined.Count > 0)
                joined[^1] = (joined[^1].Begin, end);
            else
                joined.Add((begin, end));
            previous = match;
        }
        return joined;
    }
}
