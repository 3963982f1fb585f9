using System.Buffers;
using Trainer.Tokenizers.Alignment;
using Trainer.Tokenizers.Patterns;

namespace Trainer.Tokenizers.AddedTokens;

/// <summary>Finds added tokens in a text, leftmost first and the longest where several begin, and cuts the text around them.</summary>
internal sealed class AddedTokenMatcher
{
    private readonly Dictionary<(int Node, char Next), int> _edges = [];
    private readonly List<AddedToken?> _ends = [null];
    private readonly SearchValues<char> _firsts;

    /// <summary>Builds the trie.</summary>
    /// <param name="tokens">What to look for, and the token it stands for.</param>
    public AddedTokenMatcher(IEnumerable<(string Pattern, AddedToken Token)> tokens)
    {
        var firsts = new HashSet<char>();
        foreach (var (pattern, token) in tokens)
        {
            if (pattern.Length == 0)
                continue;
            firsts.Add(pattern[0]);
            var node = 0;
            foreach (var c in pattern)
            {
                if (!_edges.TryGetValue((node, c), out var next))
                {
                    next = _ends.Count;
                    _ends.Add(null);
                    _edges.Add((node, c), next);
                }
                node = next;
            }
            _ends[node] = token;
        }
        _firsts = SearchValues.Create([.. firsts]);
    }

    /// <summary>Cuts one text into tokens found and what lies between; positions are relative to the text.</summary>
    public void Cut(ReadOnlySpan<char> text, int shift, List<Piece> pieces)
    {
        var done = 0;
        var position = 0;
        while (position < text.Length)
        {
            var jump = text[position..].IndexOfAny(_firsts);
            if (jump < 0)
                break;
            var start = position + jump;
            var (token, stop) = Longest(text, start);
            if (token is null)
            {
                position = start + 1;
                continue;
            }
            position = stop;
            if (token.SingleWord && !StandsAlone(text, start, stop))
                continue;
            if (token.LeftStrip)
            {
                while (start > 0 && CharacterSets.IsWhiteSpace(text[start - 1]))
                    start--;
                start = Math.Max(start, done);
            }
            if (token.RightStrip)
            {
                while (stop < text.Length && CharacterSets.IsWhiteSpace(text[stop]))
                    stop++;
            }
            if (done < start)
                pieces.Add(new Piece(shift + done, shift + start));
            // What an earlier token stripped away may hold a match of its own; nothing is left of it then.
            if (start < stop)
                pieces.Add(new Piece(shift + start, shift + stop, token.Id));
            done = stop;
        }
        if (done < text.Length)
            pieces.Add(new Piece(shift + done, shift + text.Length));
    }

    private (AddedToken? Token, int Stop) Longest(ReadOnlySpan<char> text, int start)
    {
        AddedToken? found = null;
        var stop = start;
        var node = 0;
        for (var i = start; i < text.Length && _edges.TryGetValue((node, text[i]), out node); i++)
        {
            if (_ends[node] is { } token)
                (found, stop) = (token, i + 1);
        }
        return (found, stop);
    }

    private static bool StandsAlone(ReadOnlySpan<char> text, int start, int stop)
    {
        var before = start > 0 && CharacterSets.IsWord(char.IsLowSurrogate(text[start - 1]) && start > 1
            ? Transformation.CodePointAt(text, start - 2) : text[start - 1]);
        var after = stop < text.Length && CharacterSets.IsWord(Transformation.CodePointAt(text, stop));
        return !before && !after;
    }
}
