using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Trainer.Tokenizers.Patterns;

/// <summary>
/// Runs a pattern exactly, whatever the letters: all code points that no set of the pattern tells apart become one stand-in character,
/// the pattern is rewritten in stand-ins, and .NET's engine runs on the rewritten text. Its own ideas of letters, case and surrogates never matter.
/// </summary>
internal sealed class PatternMatcher : IMatcher
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly Regex _regex;
    private readonly char[] _standIns; // by UTF-16 unit
    private readonly int[] _astralBegins; // sorted, from 0x10000
    private readonly char[] _astralStandIns;
    private readonly bool _matchesEmpty;
    private readonly string _pattern;

    public PatternMatcher(string pattern)
    {
        _pattern = pattern;
        var node = PatternParser.Parse(pattern);
        var alphabet = new PatternAlphabet(node);
        _standIns = alphabet.Basic;
        (_astralBegins, _astralStandIns) = (alphabet.AstralBegins, alphabet.AstralStandIns);
        _matchesEmpty = PatternWriter.Shortest(node) == 0;
        try
        {
            _regex = new Regex(PatternWriter.Write(node, alphabet), RegexOptions.Compiled | RegexOptions.CultureInvariant, Patience);
        }
        catch (ArgumentException fault)
        {
            throw new TokenizerException($"regular expression '{pattern}' cannot be compiled: {fault.Message}; it is refused", fault);
        }
    }

    public void Find(ReadOnlySpan<char> text, MatchList matches)
    {
        var buffer = System.Buffers.ArrayPool<char>.Shared.Rent(text.Length);
        try
        {
            var astral = text.IndexOfAnyInRange('\uD800', '\uDFFF') >= 0;
            var map = astral ? new int[text.Length + 1] : null;
            var length = map is null ? StandIn(text, buffer) : StandIn(text, buffer, map);
            Search(buffer.AsSpan(0, length), map, matches);
        }
        catch (RegexMatchTimeoutException fault)
        {
            throw new TokenizerException($"regular expression '{_pattern}' took more "
                + $"than {Patience.TotalSeconds.ToString(CultureInfo.InvariantCulture)} s on a text of {text.Length} characters; shorten the row", fault);
        }
        finally
        {
            System.Buffers.ArrayPool<char>.Shared.Return(buffer);
        }
    }

    private void Search(ReadOnlySpan<char> text, int[]? map, MatchList matches)
    {
        if (!_matchesEmpty)
        {
            foreach (var match in _regex.EnumerateMatches(text))
                Add(match.Index, match.Index + match.Length);
            return;
        }
        // An empty match right behind the last match does not count, and the search goes on one letter later.
        var lastEnd = -1;
        for (var from = 0; from <= text.Length;)
        {
            var found = _regex.EnumerateMatches(text, from);
            if (!found.MoveNext())
                return;
            var (begin, end) = (found.Current.Index, found.Current.Index + found.Current.Length);
            if (begin == end && end == lastEnd)
            {
                from++;
                continue;
            }
            Add(begin, end);
            (from, lastEnd) = (end, end);
        }

        void Add(int begin, int end)
        {
            if (map is null)
                matches.Add(begin, end);
            else
                matches.Add(map[begin], map[end]);
        }
    }

    private int StandIn(ReadOnlySpan<char> text, Span<char> into)
    {
        for (var i = 0; i < text.Length; i++)
            into[i] = _standIns[text[i]];
        return text.Length;
    }

    private int StandIn(ReadOnlySpan<char> text, Span<char> into, int[] map)
    {
        var length = 0;
        for (var i = 0; i < text.Length; i++)
        {
            map[length] = i;
            var c = text[i];
            if (char.IsHighSurrogate(c) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]))
            {
                var found = Array.BinarySearch(_astralBegins, char.ConvertToUtf32(c, text[++i]));
                into[length++] = _astralStandIns[found >= 0 ? found : ~found - 1];
            }
            else into[length++] = _standIns[c];
        }
        map[length] = text.Length;
        return length;
    }
}
