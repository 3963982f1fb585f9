namespace Trainer.Tokenizers.Patterns;

/// <summary>A set of Unicode code points as sorted, disjoint, half-open ranges.</summary>
internal sealed class CodePointSet
{
    public const int Limit = 0x110000;

    private readonly int[] _bounds; // begin, end, begin, end, ...

    private CodePointSet(int[] bounds) => _bounds = bounds;

    public static CodePointSet Empty { get; } = new([]);

    public static CodePointSet All { get; } = new([0, Limit]);

    /// <summary>Begin, end, begin, end, ... (ends exclusive).</summary>
    public ReadOnlySpan<int> Bounds => _bounds;

    public bool IsEmpty => _bounds.Length == 0;

    public static CodePointSet Of(int codePoint) => new([codePoint, codePoint + 1]);

    public static CodePointSet Of(string characters) => Union(characters.Select(c => Of(c)));

    /// <summary>Both ends belong to the set.</summary>
    public static CodePointSet Range(int first, int last) => new([first, last + 1]);

    public static CodePointSet Union(IEnumerable<CodePointSet> sets)
    {
        var ranges = new List<(int Begin, int End)>();
        foreach (var set in sets)
        {
            for (var i = 0; i < set._bounds.Length; i += 2)
                ranges.Add((set._bounds[i], set._bounds[i + 1]));
        }
        ranges.Sort();
        var merged = new List<int>();
        foreach (var (begin, end) in ranges)
        {
            if (merged.Count > 0 && begin <= merged[^1])
                merged[^1] = Math.Max(merged[^1], end);
            else
                merged.AddRange([begin, end]);
        }
        return new CodePointSet([.. merged]);
    }

    public CodePointSet Or(CodePointSet other) => Union([this, other]);

    public CodePointSet Not()
    {
        var bounds = new List<int>(_bounds.Length + 2);
        var last = 0;
        for (var i = 0; i < _bounds.Length; i += 2)
        {
            if (_bounds[i] > last)
                bounds.AddRange([last, _bounds[i]]);
            last = _bounds[i + 1];
        }
        if (last < Limit)
            bounds.AddRange([last, Limit]);
        return new CodePointSet([.. bounds]);
    }

    public CodePointSet And(CodePointSet other) => Not().Or(other.Not()).Not();

    public CodePointSet Except(CodePointSet other) => And(other.Not());

    public bool Contains(int codePoint)
    {
        var index = Array.BinarySearch(_bounds, codePoint);
        // A hit on a begin (even index) is inside, on an end outside; between two entries the parity of the insertion point tells.
        return index >= 0 ? index % 2 == 0 : ~index % 2 == 1;
    }
}
