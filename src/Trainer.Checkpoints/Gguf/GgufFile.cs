using System.Buffers.Binary;
using System.Text;
using Trainer.Checkpoints.Safetensors;

namespace Trainer.Checkpoints.Gguf;

/// <summary>A GGUF file (version 2 or 3, little-endian) with its header read and checked in full; tensor data is read when asked for.</summary>
public sealed class GgufFile : IDisposable
{
    private readonly FileStream _stream;

    private GgufFile(string path, FileStream stream, GgufHeader header)
    {
        (Path, _stream, Metadata, Tensors) = (path, stream, header.Metadata, header.Tensors);
        ByName = header.Tensors.ToDictionary(static tensor => tensor.Name, StringComparer.Ordinal);
    }

    /// <summary>The path it was opened by.</summary>
    public string Path { get; }

    /// <summary>Bytes of the file.</summary>
    public long Length => _stream.Length;

    /// <summary>Metadata in the order of the file.</summary>
    public IReadOnlyList<KeyValuePair<string, GgufValue>> Metadata { get; }

    /// <summary>Tensors in the order of the file.</summary>
    public IReadOnlyList<GgufTensor> Tensors { get; }

    /// <summary>Tensors by name.</summary>
    public IReadOnlyDictionary<string, GgufTensor> ByName { get; }

    /// <summary>Reads and checks the header.</summary>
    /// <exception cref="BadFileException">Missing, cut off, damaged or of another format.</exception>
    public static GgufFile Open(string path)
    {
        FileStream? stream = null;
        try
        {
            stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16);
            return new GgufFile(path, stream, GgufHeader.Read(path, stream));
        }
        catch (Exception fault)
        {
            stream?.Dispose();
            if (fault is IOException or UnauthorizedAccessException)
                throw new BadFileException($"cannot read '{path}': {fault.Message.TrimEnd('.')}; check the path", fault);
            throw;
        }
    }

    /// <summary>A metadata value, or null.</summary>
    public GgufValue? Find(string key) => Metadata.FirstOrDefault(pair => pair.Key == key).Value;

    /// <summary>A text value, or null.</summary>
    public string? Text(string key) => Find(key)?.Value as string;

    /// <summary>Reads a part of a tensor's bytes.</summary>
    public byte[] Read(GgufTensor tensor, long offset, int count)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, tensor.ByteCount - count);
        var bytes = new byte[count];
        for (var done = 0; done < count;)
        {
            var got = RandomAccess.Read(_stream.SafeFileHandle, bytes.AsSpan(done), tensor.Begin + offset + done);
            done += got > 0
                ? got : throw new BadFileException($"tensor '{tensor.Name}' of '{Path}' ends early; the file was cut off, copy or download it again");
        }
        return bytes;
    }

    /// <summary>All bytes of a tensor below 2 GiB.</summary>
    public byte[] Read(GgufTensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        return Read(tensor, 0, checked((int)tensor.ByteCount));
    }

    /// <summary>Closes the file.</summary>
    public void Dispose() => _stream.Dispose();
}
