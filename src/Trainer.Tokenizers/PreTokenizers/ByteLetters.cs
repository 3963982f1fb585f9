namespace Trainer.Tokenizers.PreTokenizers;

/// <summary>GPT-2's table of one printable letter per byte.</summary>
internal static class ByteLetters
{
    static ByteLetters()
    {
        var spare = 256;
        for (var value = 0; value < 256; value++)
        {
            var printable = value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            Letters[value] = (char)(printable ? value : spare++);
        }
        Array.Fill(Bytes, (short)-1);
        for (var value = 0; value < 256; value++)
            Bytes[Letters[value]] = (short)value;
    }

    /// <summary>Letter of each byte.</summary>
    public static char[] Letters { get; } = new char[256];

    private static readonly short[] Bytes = new short[512];

    /// <summary>Byte of a letter, or -1.</summary>
    public static int ByteOf(char letter) => letter < Bytes.Length ? Bytes[letter] : -1;
}
