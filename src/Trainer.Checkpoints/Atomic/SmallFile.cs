using System.Globalization;
using System.Text;

namespace Trainer.Checkpoints.Atomic;

/// <summary>
/// Files that are read whole, such as configurations and records: none is longer than a limit, so one that is was damaged, or is another file.
/// What is read by lines may be of any length, but no line is.
/// </summary>
public static class SmallFile
{
    /// <summary>Bytes of the longest file that is read whole. The largest that are true lie at some ten MiB.</summary>
    public const long MostBytes = 64L << 20;

    /// <summary>Letters of the longest line.</summary>
    public const int MostLetters = 16 << 20;

    /// <summary>The bytes of a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="most">The most it may have.</param>
    /// <exception cref="BadFileException">It is longer, or no regular file.</exception>
    public static byte[] Bytes(string path, long most = MostBytes)
    {
        RegularFile.Require(path);
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        if (file.Length > most) throw TooLong(path, file.Length, most);
        var bytes = new byte[file.Length];
        file.ReadExactly(bytes);
        return bytes;
    }

    /// <summary>The text of a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="most">The most bytes it may have.</param>
    /// <exception cref="BadFileException">It is longer, or no regular file.</exception>
    public static string Text(string path, long most = MostBytes)
    {
        using var reader = new StreamReader(new MemoryStream(Bytes(path, most)));
        return reader.ReadToEnd();
    }

    /// <summary>The lines of a file, one at a time.</summary>
    /// <param name="path">The file.</param>
    /// <param name="most">The most letters a line may have.</param>
    /// <exception cref="BadFileException">A line is longer.</exception>
    public static IEnumerable<string> Lines(string path, int most = MostLetters)
    {
        using var reader = new StreamReader(path);
        foreach (var line in Lines(reader, path, most)) yield return line;
    }

    /// <summary>The lines of a text, one at a time.</summary>
    /// <param name="reader">The text.</param>
    /// <param name="name">What messages call it.</param>
    /// <param name="most">The most letters a line may have.</param>
    /// <exception cref="BadFileException">A line is longer.</exception>
    public static IEnumerable<string> Lines(TextReader reader, string name, int most = MostLetters)
    {
        ArgumentNullException.ThrowIfNull(reader);
        var line = new StringBuilder();
        long number = 1;
        for (int letter; (letter = reader.Read()) >= 0;)
        {
            if (letter is not ('\n' or '\r'))
            {
                if (line.Length == most)
                {
                    throw new BadFileException(string.Create(CultureInfo.InvariantCulture,
                        $"line {number} of '{name}' has more than {most >> 20} Mi letters; it is damaged, or no file of this kind: name another"));
                }
                line.Append((char)letter);
                continue;
            }
            if (letter == '\r' && reader.Peek() == '\n') reader.Read();
            yield return line.ToString();
            line.Clear();
            number++;
        }
        if (line.Length > 0) yield return line.ToString();
    }

    /// <summary>The rest of a text that is held whole.</summary>
    /// <param name="reader">The text.</param>
    /// <param name="name">What messages call it.</param>
    /// <exception cref="BadFileException">It is longer than <see cref="MostBytes"/> letters.</exception>
    public static string Rest(TextReader reader, string name)
    {
        ArgumentNullException.ThrowIfNull(reader);
        var (text, part) = (new StringBuilder(), new char[1 << 16]);
        for (int count; (count = reader.Read(part, 0, part.Length)) > 0;)
        {
            if (text.Length + count > MostBytes)
                throw new BadFileException($"{name} has more than {MostBytes >> 20} Mi letters; give less at a time");
            text.Append(part, 0, count);
        }
        return text.ToString();
    }

    /// <summary>Refuses a file that is longer than it can be.</summary>
    /// <param name="path">The file, or a link to it.</param>
    /// <param name="most">The most bytes it may have.</param>
    /// <exception cref="BadFileException">It is longer.</exception>
    public static void Require(string path, long most = MostBytes)
    {
        using var file = File.OpenHandle(path);
        if (RandomAccess.GetLength(file) is var length && length > most) throw TooLong(path, length, most);
    }

    private static BadFileException TooLong(string path, long length, long most) =>
        new(string.Create(CultureInfo.InvariantCulture,
            $"'{path}' has {length >> 20} MiB, and no file of its kind has more than {most >> 20}; it is damaged, or another file: "
            + $"put the right one in its place"));
}
