namespace Trainer.Tokenizers.Unigram;

/// <summary>
/// Texts by their beginnings. Nodes are numbered level by level, so the children of one stand together, sorted by letter, and end where those of
/// the next begin.
/// </summary>
internal sealed class PieceTrie
{
    private readonly char[] _letters;
    private readonly int[] _children;
    private readonly int[] _ids;
    private readonly int[] _fromRoot = new int[0x10000];

    /// <summary>Builds the trie of texts and their ids.</summary>
    public PieceTrie(IEnumerable<KeyValuePair<string, int>> pieces)
    {
        var sorted = pieces.Where(piece => piece.Key.Length > 0).ToArray();
        Array.Sort(sorted, static (a, b) => string.CompareOrdinal(a.Key, b.Key));
        var letters = new List<char> { '\0' };
        var children = new List<int>();
        var ids = new List<int> { -1 };
        var ranges = new Queue<(int From, int To, int Depth)>();
        ranges.Enqueue((0, sorted.Length, 0));
        while (ranges.TryDequeue(out var range))
        {
            children.Add(letters.Count);
            var (from, to, depth) = range;
            if (from < to && sorted[from].Key.Length == depth) from++; // the text that ends at this node
            while (from < to)
            {
                var letter = sorted[from].Key[depth];
                var end = from + 1;
                while (end < to && sorted[end].Key[depth] == letter) end++;
                letters.Add(letter);
                ids.Add(sorted[from].Key.Length == depth + 1 ? sorted[from].Value : -1);
                ranges.Enqueue((from, end, depth + 1));
                from = end;
            }
        }
        children.Add(letters.Count);
        (_letters, _children, _ids) = ([.. letters], [.. children], [.. ids]);
        for (var node = _children[0]; node < _children[1]; node++) _fromRoot[_letters[node]] = node;
    }

    /// <summary>The node behind a letter, from the root where <paramref name="node"/> is 0; 0 where there is none.</summary>
    public int Next(int node, char letter)
    {
        if (node == 0) return _fromRoot[letter];
        var at = Array.BinarySearch(_letters, _children[node], _children[node + 1] - _children[node], letter);
        return at < 0 ? 0 : at;
    }

    /// <summary>The id of the text that ends at a node, or -1.</summary>
    public int IdAt(int node) => _ids[node];
}
