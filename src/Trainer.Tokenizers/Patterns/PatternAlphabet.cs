namespace Trainer.Tokenizers.Patterns;

/// <summary>Divides all code points into those that a pattern treats alike, and gives each kind one stand-in character.</summary>
internal sealed class PatternAlphabet
{
    // Printable ASCII first: the compiled matcher tests it with small bit maps.
    private const char FirstStandIn = '!';

    private readonly Dictionary<CodePointSet, int> _indices = [];
    private readonly List<bool[]> _kinds = [];

    public PatternAlphabet(PatternNode node)
    {
        Collect(node);
        var sets = _indices.OrderBy(pair => pair.Value).Select(pair => pair.Key).ToArray();
        var bounds = new SortedSet<int> { 0, 0x10000, CodePointSet.Limit };
        foreach (var set in sets)
        {
            foreach (var bound in set.Bounds)
                bounds.Add(bound);
        }
        Basic = new char[0x10000];
        var byMembership = new Dictionary<string, char>();
        var astralBegins = new List<int>();
        var astral = new List<char>();
        var ordered = bounds.ToArray();
        for (var i = 0; i + 1 < ordered.Length; i++)
        {
            var membership = Array.ConvertAll(sets, set => set.Contains(ordered[i]));
            var key = string.Create(sets.Length, membership, (span, from) =>
            {
                for (var k = 0; k < from.Length; k++)
                    span[k] = from[k] ? '1' : '0';
            });
            if (!byMembership.TryGetValue(key, out var standIn))
            {
                byMembership[key] = standIn = (char)(FirstStandIn + _kinds.Count);
                _kinds.Add(membership);
            }
            if (ordered[i] < 0x10000) Basic.AsSpan(ordered[i], ordered[i + 1] - ordered[i]).Fill(standIn);
            else
            {
                astralBegins.Add(ordered[i]);
                astral.Add(standIn);
            }
        }
        (AstralBegins, AstralStandIns) = ([.. astralBegins], [.. astral]);
    }

    /// <summary>Stand-in of every UTF-16 unit.</summary>
    public char[] Basic { get; }

    /// <summary>Where a new kind begins above U+FFFF.</summary>
    public int[] AstralBegins { get; }

    public char[] AstralStandIns { get; }

    /// <summary>A set as a character class of stand-ins.</summary>
    public string ClassOf(CodePointSet set)
    {
        var index = _indices[set];
        var members = Enumerable.Range(0, _kinds.Count).Where(kind => _kinds[kind][index]).Select(kind => $"\\u{FirstStandIn + kind:x4}").ToArray();
        return members.Length switch
        {
            0 => "(?!)",
            1 => members[0],
            _ => $"[{string.Concat(members)}]",
        };
    }

    private void Collect(PatternNode node)
    {
        switch (node)
        {
            case PatternNode.Letter letter: _indices.TryAdd(letter.Set, _indices.Count); break;
            case PatternNode.Sequence sequence: sequence.Items.ToList().ForEach(Collect); break;
            case PatternNode.Choice choice: choice.Items.ToList().ForEach(Collect); break;
            case PatternNode.Repeat repeat: Collect(repeat.Item); break;
            case PatternNode.Atomic atomic: Collect(atomic.Item); break;
            case PatternNode.Look look: Collect(look.Item); break;
        }
    }
}
