using System.Text;

namespace Trainer.Tokenizers.Patterns;

/// <summary>Sets closed under simple case folding.</summary>
internal static class CaseFolding
{
    private static readonly Lazy<Dictionary<int, List<int>>> Classes = new(ReadClasses);

    /// <summary>The set with every letter that differs from one of its own by case alone.</summary>
    public static CodePointSet Fold(CodePointSet set)
    {
        if (IsAscii(set))
            return FoldAscii(set);
        var more = new List<CodePointSet> { set };
        foreach (var members in Classes.Value.Values)
        {
            if (members.Exists(set.Contains))
                more.AddRange(members.Select(CodePointSet.Of));
        }
        return CodePointSet.Union(more);
    }

    private static bool IsAscii(CodePointSet set) => set.IsEmpty || set.Bounds[^1] <= 128;

    // The common case, without building the whole table: only s and k have partners outside ASCII.
    private static CodePointSet FoldAscii(CodePointSet set)
    {
        var more = new List<CodePointSet> { set };
        for (var c = 'a'; c <= 'z'; c++)
        {
            if (!set.Contains(c) && !set.Contains(c - 32))
                continue;
            more.AddRange([CodePointSet.Of(c), CodePointSet.Of(c - 32)]);
            if (c == 's')
                more.Add(CodePointSet.Of(0x17F));
            if (c == 'k')
                more.Add(CodePointSet.Of(0x212A));
        }
        return CodePointSet.Union(more);
    }

    private static Dictionary<int, List<int>> ReadClasses()
    {
        var classes = new Dictionary<int, List<int>>();
        for (var c = 0; c < CodePointSet.Limit; c++)
        {
            if (c is >= 0xD800 and < 0xE000)
                continue;
            var rune = new Rune(c);
            var key = c == 0x17F ? 's' : Rune.ToLowerInvariant(Rune.ToUpperInvariant(rune)).Value;
            // A letter alone in its class has itself as key and nobody else points to it.
            if (key == c && Rune.ToUpperInvariant(rune).Value == c)
                continue;
            if (!classes.TryGetValue(key, out var members))
                classes[key] = members = [key];
            if (!members.Contains(c))
                members.Add(c);
            var upper = Rune.ToUpperInvariant(rune).Value;
            if (!members.Contains(upper))
                members.Add(upper);
        }
        return classes;
    }
}
