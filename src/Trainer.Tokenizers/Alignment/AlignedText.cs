namespace Trainer.Tokenizers.Alignment;

/// <summary>
/// Text on its way through normalizers and pre-tokenizers: characters, and for each the range of the input it stands for.
/// Without range arrays the text is the input itself from <see cref="Origin"/> on.
/// </summary>
internal sealed class AlignedText
{
    private readonly int[]? _starts;
    private readonly int[]? _ends;

    /// <summary>A slice of the input, unchanged.</summary>
    public AlignedText(char[] chars, int length, int origin)
    {
        (Chars, Length, Origin) = (chars, length, origin);
    }

    /// <summary>Changed text with the input range of every UTF-16 unit.</summary>
    public AlignedText(char[] chars, int length, int[] starts, int[] ends, int origin)
    {
        (Chars, Length, _starts, _ends, Origin) = (chars, length, starts, ends, origin);
    }

    public char[] Chars { get; }

    public int Length { get; }

    /// <summary>Where in the input this text began, before any change.</summary>
    public int Origin { get; }

    public bool IsInput => _starts is null;

    public ReadOnlySpan<char> Span => Chars.AsSpan(0, Length);

    public ReadOnlySpan<char> Slice(int begin, int end) => Chars.AsSpan(begin, end - begin);

    /// <summary>Input position where the letter beginning at <paramref name="index"/> begins.</summary>
    public int StartOf(int index) => _starts is null ? Origin + index : _starts[index];

    /// <summary>Input position after the letter whose last unit is <paramref name="index"/>.</summary>
    public int EndOf(int index) => _ends is null ? Origin + index + 1 : _ends[index];
}
