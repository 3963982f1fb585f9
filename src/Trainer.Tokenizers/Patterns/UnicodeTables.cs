using System.Globalization;

namespace Trainer.Tokenizers.Patterns;

/// <summary>Unicode properties: general categories from the runtime, the rest from the embedded tables.</summary>
internal static class UnicodeTables
{
    private static readonly string[] CategoryNames =
    [
        "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co",
        "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Cn",
    ];

    private static readonly Dictionary<string, string> LongNames = new()
    {
        ["letter"] = "L", ["uppercaseletter"] = "Lu", ["lowercaseletter"] = "Ll", ["titlecaseletter"] = "Lt", ["modifierletter"] = "Lm",
        ["otherletter"] = "Lo", ["mark"] = "M", ["nonspacingmark"] = "Mn", ["spacingmark"] = "Mc", ["enclosingmark"] = "Me", ["number"] = "N",
        ["decimalnumber"] = "Nd", ["letternumber"] = "Nl", ["othernumber"] = "No", ["punctuation"] = "P", ["punct"] = "P", ["symbol"] = "S",
        ["mathsymbol"] = "Sm", ["currencysymbol"] = "Sc", ["modifiersymbol"] = "Sk", ["othersymbol"] = "So", ["separator"] = "Z",
        ["spaceseparator"] = "Zs", ["lineseparator"] = "Zl", ["paragraphseparator"] = "Zp", ["other"] = "C", ["control"] = "Cc", ["format"] = "Cf",
        ["privateuse"] = "Co", ["unassigned"] = "Cn", ["connectorpunctuation"] = "Pc", ["dashpunctuation"] = "Pd", ["openpunctuation"] = "Ps",
        ["closepunctuation"] = "Pe", ["initialpunctuation"] = "Pi", ["finalpunctuation"] = "Pf", ["otherpunctuation"] = "Po",
    };

    private static readonly Lazy<Dictionary<string, CodePointSet>> Categories = new(ReadCategories);
    private static readonly Lazy<Dictionary<string, string>> Lines = new(ReadLines);

    /// <summary>A general category ("Lu") or group of categories ("L"), or null.</summary>
    public static CodePointSet? Category(string name) => Categories.Value.GetValueOrDefault(name);

    /// <summary>A set of the embedded table.</summary>
    public static CodePointSet Named(string name) => ReadRanges(Lines.Value[name]);

    /// <summary>What <c>\p{name}</c> means, or null where the name is not known.</summary>
    public static CodePointSet? Property(string name)
    {
        var plain = name.Replace("_", "", StringComparison.Ordinal).Replace(" ", "", StringComparison.Ordinal).Replace("-", "", StringComparison.Ordinal)
            .ToLowerInvariant();
        if (plain == "any")
            return CodePointSet.All;
        foreach (var (category, set) in Categories.Value)
        {
            if (category.Equals(plain, StringComparison.OrdinalIgnoreCase))
                return set;
        }
        if (LongNames.TryGetValue(plain, out var shorter))
            return Category(shorter);
        if (plain == "alpha")
            return Named("Alphabetic");
        foreach (var key in Lines.Value.Keys)
        {
            if (key is not ("Punctuation" or "CombiningMark" or "MultipleFold" or "FoldSequence") && key.Equals(plain, StringComparison.OrdinalIgnoreCase))
                return Named(key);
        }
        return CharacterSets.Posix(plain);
    }

    /// <summary>Strings that are the full case folding of one letter ("ss" of ß), in lower case.</summary>
    public static IEnumerable<string> FoldSequences() => Lines.Value["FoldSequence"].Split(' ')
        .Select(sequence => string.Concat(sequence.Split('+').Select(hex => char.ConvertFromUtf32(int.Parse(hex, NumberStyles.HexNumber)))));

    /// <summary>Text of an embedded table.</summary>
    public static IEnumerable<string> ReadTable(string name)
    {
        using var stream = typeof(UnicodeTables).Assembly.GetManifestResourceStream(name)!;
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { } line)
        {
            if (!line.StartsWith('#') && line.Length > 0)
                yield return line;
        }
    }

    /// <summary>Reads "41-5A 61" (hexadecimal, both ends inclusive).</summary>
    public static CodePointSet ReadRanges(string text) => CodePointSet.Union(text.Split(' ').Select(range =>
    {
        var dash = range.IndexOf('-', StringComparison.Ordinal);
        var first = int.Parse(dash < 0 ? range : range[..dash], NumberStyles.HexNumber);
        return CodePointSet.Range(first, dash < 0 ? first : int.Parse(range.AsSpan(dash + 1), NumberStyles.HexNumber));
    }));

    private static Dictionary<string, string> ReadLines() => ReadTable("UnicodeSets.txt").ToDictionary(
        line => line[..line.IndexOf(' ', StringComparison.Ordinal)], line => line[(line.IndexOf(' ', StringComparison.Ordinal) + 1)..]);

    private static Dictionary<string, CodePointSet> ReadCategories()
    {
        var ranges = new List<CodePointSet>[CategoryNames.Length];
        for (var i = 0; i < ranges.Length; i++)
            ranges[i] = [];
        var begin = 0;
        var category = CharUnicodeInfo.GetUnicodeCategory(0);
        for (var c = 1; c <= CodePointSet.Limit; c++)
        {
            var next = c < CodePointSet.Limit ? CharUnicodeInfo.GetUnicodeCategory(c) : (UnicodeCategory)(-1);
            if (next == category)
                continue;
            ranges[(int)category].Add(CodePointSet.Range(begin, c - 1));
            (begin, category) = (c, next);
        }
        var sets = new Dictionary<string, CodePointSet>();
        for (var i = 0; i < ranges.Length; i++)
            sets[CategoryNames[i]] = CodePointSet.Union(ranges[i]);
        foreach (var group in CategoryNames.GroupBy(name => name[..1]).ToArray())
            sets[group.Key] = CodePointSet.Union(group.Select(name => sets[name]));
        sets["LC"] = CodePointSet.Union([sets["Lu"], sets["Ll"], sets["Lt"]]);
        return sets;
    }
}
