using System.IO.Compression;

namespace Trainer.Data.Reading;

/// <summary>An open data file: decompressed where it ends in .gz or .zst, byte order mark skipped.</summary>
internal sealed class InputFile : IDisposable
{
    private readonly FileStream _file;

    private InputFile(string path, FileStream file, Stream content)
    {
        Path = path;
        _file = file;
        Content = content;
    }

    /// <summary>Path as the user gave it.</summary>
    public string Path { get; }

    /// <summary>The bytes, decompressed.</summary>
    public Stream Content { get; }

    /// <summary>Bytes taken from the disk so far.</summary>
    public long BytesRead => _file.Position;

    /// <summary>The format's extension in lower case, without .gz or .zst: <c>.jsonl</c>.</summary>
    public static string FormatOf(string path) => System.IO.Path.GetExtension(path[..^CompressionOf(path).Length]).ToLowerInvariant();

    /// <summary>Opens a file for reading from its start.</summary>
    /// <exception cref="DataException">It cannot be opened, or is not UTF-8 by its byte order mark.</exception>
    public static InputFile Open(string path)
    {
        var file = OpenFile(path);
        try
        {
            Stream Decompressed() => CompressionOf(path) switch
            {
                ".gz" => new ExpansionLimit(new GZipStream(file, CompressionMode.Decompress, leaveOpen: true), file, path),
                ".zst" => new ExpansionLimit(new ZstandardStream(file), file, path),
                _ => file,
            };
            var head = new byte[4];
            var content = Decompressed();
            var n = content.ReadAtLeast(head, 4, throwOnEndOfStream: false);
            if (n >= 2 && (head[0], head[1]) is (0xFF, 0xFE) or (0xFE, 0xFF))
                throw new DataException($"data file is UTF-16 ({path}): UTF-8 is needed; save it as UTF-8");
            var mark = n >= 3 && head[0] == 0xEF && head[1] == 0xBB && head[2] == 0xBF ? 3 : 0;
            file.Position = 0;
            content = Decompressed();
            content.ReadExactly(head, 0, mark);
            return new InputFile(path, file, content);
        }
        catch (Exception fault)
        {
            file.Dispose();
            if (fault is InvalidDataException or IOException)
                throw new DataException($"cannot read data file '{path}': {Reason(path, fault)}; check that it is whole", fault);
            throw;
        }
    }

    /// <summary>Opens the raw bytes, with faults as sentences.</summary>
    public static FileStream OpenFile(string path)
    {
        try
        {
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16, FileOptions.SequentialScan);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new DataException($"cannot read data file '{path}': {fault.Message.TrimEnd('.')}; check the path and its permissions", fault);
        }
    }

    /// <summary>Why reading failed; what the decompressor says of a file that is no gzip is about another format.</summary>
    public static string Reason(string path, Exception fault) =>
        fault is InvalidDataException or EndOfStreamException && CompressionOf(path) is { Length: > 0 } kind
            ? $"it is no {(kind == ".gz" ? "gzip" : "zstandard")} file, or is damaged or cut off" : fault.Message.TrimEnd('.');

    private static string CompressionOf(string path) =>
        path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase) ? ".gz" : path.EndsWith(".zst", StringComparison.OrdinalIgnoreCase) ? ".zst" : "";

    public void Dispose()
    {
        Content.Dispose();
        _file.Dispose();
    }
}
