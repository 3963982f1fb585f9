using System.Globalization;
using Trainer.Tokenizers.Patterns;

namespace Trainer.Tokenizers.Normalizers;

/// <summary>Combining classes, decompositions and compositions, of the Unicode version the reference library normalizes with.</summary>
internal sealed class NormalizationTables
{
    private static readonly Lazy<NormalizationTables> Shared = new(() => new NormalizationTables());

    private readonly byte[] _classes = new byte[0x20000];
    private readonly Dictionary<int, int[]> _canonical = [];
    private readonly Dictionary<int, int[]> _compatible = [];
    private readonly Dictionary<(int, int), int> _composites = [];
    private readonly HashSet<int> _seconds = [];

    private NormalizationTables()
    {
        foreach (var line in UnicodeTables.ReadTable("NormalizationData.txt"))
        {
            var fields = line.Split(' ');
            switch (fields[0])
            {
                case "C":
                    ReadClasses(byte.Parse(fields[1], CultureInfo.InvariantCulture), fields[2..]);
                    break;
                case "D":
                    _canonical[Hex(fields[1])] = Array.ConvertAll(fields[2..], Hex);
                    break;
                case "K":
                    _compatible[Hex(fields[1])] = Array.ConvertAll(fields[2..], Hex);
                    break;
                case "P":
                    _composites[(Hex(fields[1]), Hex(fields[2]))] = Hex(fields[3]);
                    _seconds.Add(Hex(fields[2]));
                    break;
            }
        }
    }

    public static NormalizationTables Instance => Shared.Value;

    public int ClassOf(int codePoint) => codePoint < _classes.Length ? _classes[codePoint] : 0;

    /// <summary>Full decomposition, or null where a letter stays.</summary>
    public int[]? Decompose(int codePoint, bool compatible)
    {
        if (codePoint is >= Hangul.SyllableBase and <= Hangul.LastSyllable)
            return Hangul.Decompose(codePoint);
        if (compatible && _compatible.TryGetValue(codePoint, out var letters))
            return letters;
        return _canonical.GetValueOrDefault(codePoint);
    }

    /// <summary>What two letters compose to, or -1.</summary>
    public int Compose(int first, int second)
    {
        var hangul = Hangul.Compose(first, second);
        return hangul >= 0 ? hangul : _composites.GetValueOrDefault((first, second), -1);
    }

    /// <summary>Whether a letter stays as it is in NFC whatever stands around it.</summary>
    public bool StaysComposed(int codePoint)
    {
        if (codePoint < 0x300)
            return true;
        if (ClassOf(codePoint) != 0 || _seconds.Contains(codePoint) || Hangul.IsSecond(codePoint))
            return false;
        if (!_canonical.TryGetValue(codePoint, out var parts))
            return true;
        // A letter that decomposes stays only if its parts compose to it again.
        var composed = parts[0];
        for (var i = 1; i < parts.Length && composed >= 0; i++)
            composed = Compose(composed, parts[i]);
        return composed == codePoint;
    }

    private static int Hex(string text) => int.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    private void ReadClasses(byte combiningClass, string[] ranges)
    {
        foreach (var range in ranges)
        {
            var ends = Array.ConvertAll(range.Split('-'), Hex);
            for (var c = ends[0]; c <= ends[^1]; c++)
                _classes[c] = combiningClass;
        }
    }
}
