using Trainer.Tokenizers.Alignment;

namespace Trainer.Tokenizers.Normalizers;

/// <summary>
/// NFC, NFD, NFKC and NFKD from an own table: the runtime's normalization does nothing where ICU is absent, and refuses U+FFFE.
/// The change counts follow the reference library, so offsets do too.
/// </summary>
internal sealed class UnicodeNormalizer(bool compose, bool compatible) : INormalizer
{
    private readonly NormalizationTables _tables = NormalizationTables.Instance;

    public AlignedText Apply(AlignedText text)
    {
        if (Stays(text.Span))
            return text;
        var (letters, changes) = Decompose(text.Span);
        if (compose)
            (letters, changes) = Compose(letters, changes);
        return Transformation.Apply(text, letters, changes);
    }

    private bool Stays(ReadOnlySpan<char> text)
    {
        // Below these every letter is its own normal form.
        var plain = (compose, compatible) switch { (true, false) => '\u0300', (false, false) => '\u00C0', _ => '\u00A0' };
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] < plain)
                continue;
            if (!compose || compatible)
                return false;
            var codePoint = Transformation.CodePointAt(text, i);
            if (!_tables.StaysComposed(codePoint))
                return false;
            i += codePoint > 0xFFFF ? 1 : 0;
        }
        return true;
    }

    private (List<int> Letters, List<int> Changes) Decompose(ReadOnlySpan<char> text)
    {
        var letters = new List<int>(text.Length);
        var changes = new List<int>(text.Length);
        var pending = 0; // from here on only combining marks
        for (var i = 0; i < text.Length;)
        {
            var codePoint = Transformation.CodePointAt(text, i);
            i += codePoint > 0xFFFF ? 2 : 1;
            var parts = _tables.Decompose(codePoint, compatible);
            for (var k = 0; k < (parts?.Length ?? 1); k++)
            {
                var letter = parts?[k] ?? codePoint;
                if (_tables.ClassOf(letter) == 0)
                {
                    Order(letters, changes, pending);
                    pending = letters.Count + 1;
                }
                letters.Add(letter);
                changes.Add(k == 0 ? 0 : 1);
            }
        }
        Order(letters, changes, pending);
        return (letters, changes);
    }

    // Marks behind a letter, by combining class; equals keep their order.
    private void Order(List<int> letters, List<int> changes, int from)
    {
        var count = letters.Count - from;
        if (count < 2)
            return;
        var keys = new (int Class, int Index)[count];
        for (var i = 0; i < count; i++)
            keys[i] = (_tables.ClassOf(letters[from + i]), i);
        Array.Sort(keys);
        var (oldLetters, oldChanges) = (letters.GetRange(from, count), changes.GetRange(from, count));
        for (var i = 0; i < count; i++)
        {
            letters[from + i] = oldLetters[keys[i].Index];
            changes[from + i] = oldChanges[keys[i].Index];
        }
    }

    private (List<int> Letters, List<int> Changes) Compose(List<int> letters, List<int> changes)
    {
        var composed = new List<int>(letters.Count);
        var counts = new List<int>(letters.Count);
        var starter = -1;
        var lastClass = -1;
        for (var i = 0; i < letters.Count; i++)
        {
            var combiningClass = _tables.ClassOf(letters[i]);
            if (starter >= 0 && (lastClass < 0 || lastClass < combiningClass) && _tables.Compose(composed[starter], letters[i]) is >= 0 and var whole)
            {
                composed[starter] = whole;
                counts[starter] += changes[i] - 1;
                continue;
            }
            if (combiningClass == 0)
                (starter, lastClass) = (composed.Count, -1);
            else if (starter >= 0)
                lastClass = combiningClass;
            composed.Add(letters[i]);
            counts.Add(changes[i]);
        }
        return (composed, counts);
    }
}
