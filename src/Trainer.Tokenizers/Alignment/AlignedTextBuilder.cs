namespace Trainer.Tokenizers.Alignment;

/// <summary>Builds an <see cref="AlignedText"/> unit by unit.</summary>
internal sealed class AlignedTextBuilder(int capacity)
{
    private char[] _chars = new char[Math.Max(16, capacity)];
    private int[] _starts = new int[Math.Max(16, capacity)];
    private int[] _ends = new int[Math.Max(16, capacity)];

    public int Length { get; private set; }

    public void Append(char c, int start, int end)
    {
        if (Length == _chars.Length)
            Grow(Length + 1);
        _chars[Length] = c;
        _starts[Length] = start;
        _ends[Length++] = end;
    }

    public void Append(string text, int start, int end)
    {
        foreach (var c in text)
            Append(c, start, end);
    }

    public void AppendCodePoint(int codePoint, int start, int end)
    {
        if (codePoint < 0x10000)
        {
            Append((char)codePoint, start, end);
            return;
        }
        Append((char)(0xD800 + ((codePoint - 0x10000) >> 10)), start, end);
        Append((char)(0xDC00 + ((codePoint - 0x10000) & 0x3FF)), start, end);
    }

    /// <summary>Copies a part of another text with its ranges; letters must be whole.</summary>
    public void AppendSlice(AlignedText text, int begin, int end)
    {
        if (Length + end - begin > _chars.Length)
            Grow(Length + end - begin);
        text.Slice(begin, end).CopyTo(_chars.AsSpan(Length));
        for (var i = begin; i < end; i++)
        {
            var c = text.Chars[i];
            // Both halves of a surrogate pair carry the range of the whole letter.
            _starts[Length] = text.IsInput && char.IsLowSurrogate(c) ? text.StartOf(i - 1) : text.StartOf(i);
            _ends[Length++] = text.IsInput && char.IsHighSurrogate(c) ? text.EndOf(i + 1) : text.EndOf(i);
        }
    }

    public AlignedText Build(int origin) => new(_chars, Length, _starts, _ends, origin);

    private void Grow(int needed)
    {
        var size = Math.Max(needed, (int)Math.Min(int.MaxValue - 64L, _chars.Length * 2L));
        Array.Resize(ref _chars, size);
        Array.Resize(ref _starts, size);
        Array.Resize(ref _ends, size);
    }
}
