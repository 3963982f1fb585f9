using System.IO.MemoryMappedFiles;
using Trainer.Checkpoints.Gguf;

namespace Trainer.Checkpoints.Safetensors;

/// <summary>
/// A safetensors file mapped into memory and checked in full: nothing is copied, pages are read when touched.
/// The map lives until <see cref="Dispose"/> and the last <see cref="Hold"/>; a pointer from it must not outlive both.
/// </summary>
public sealed unsafe class SafetensorsFile : IDisposable
{
    private readonly MemoryMappedFile? _map;
    private readonly MemoryMappedViewAccessor? _view;
    private readonly byte* _start;
    private readonly Dictionary<string, SafetensorsEntry> _tensors;
    private bool _disposed;

    private SafetensorsFile(string path, SafetensorsHeader header, long length, MemoryMappedFile? map)
    {
        Path = path;
        Length = length;
        Entries = header.Entries;
        Metadata = header.Metadata;
        _tensors = header.Entries.ToDictionary(static entry => entry.Name, StringComparer.Ordinal);
        if (map is not null)
        {
            _map = map;
            _view = map.CreateViewAccessor(0, length, MemoryMappedFileAccess.Read);
            _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _start);
            _start += _view.PointerOffset;
        }
    }

    /// <summary>The path it was opened by.</summary>
    public string Path { get; }

    /// <summary>Bytes of the file.</summary>
    public long Length { get; }

    /// <summary>Every tensor by name.</summary>
    public IReadOnlyDictionary<string, SafetensorsEntry> Tensors => _tensors;

    /// <summary>Every tensor in the order of the file.</summary>
    public IReadOnlyList<SafetensorsEntry> Entries { get; }

    /// <summary>The text pairs of the header, e.g. format = pt.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Maps a file after checking its header, offsets, types and shapes.</summary>
    /// <exception cref="BadFileException">It is missing, unreadable, cut off, damaged or of another format.</exception>
    public static SafetensorsFile Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        MemoryMappedFile? map = null;
        try
        {
            var stream = new FileStream(path, new FileStreamOptions { Mode = FileMode.Open, Access = FileAccess.Read, Share = FileShare.Read | FileShare.Delete,
                BufferSize = 0 });
            try
            {
                var length = stream.Length;
                var header = SafetensorsHeader.Read(path, stream.SafeFileHandle, length);
                map = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false);
                return new SafetensorsFile(path, header, length, map);
            }
            catch
            {
                stream.Dispose();
                throw;
            }
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            map?.Dispose();
            var why = fault switch
            {
                FileNotFoundException or DirectoryNotFoundException => "there is no such file",
                UnauthorizedAccessException => Directory.Exists(path) ? "it is a folder" : "it may not be read by this user",
                _ => fault.Message.TrimEnd('.'),
            };
            throw new BadFileException($"cannot read '{path}': {why}; check the path", fault);
        }
    }

    /// <summary>The entry of a name.</summary>
    /// <exception cref="BadFileException">The file has no such tensor.</exception>
    public SafetensorsEntry Entry(string name) => _tensors.TryGetValue(name, out var entry)
        ? entry
        : throw new BadFileException($"tensor '{name}' is not in '{Path}'; the file is of another model or incomplete");

    /// <summary>First byte of a tensor in the map; not aligned beyond what the file's layout gives.</summary>
    public byte* Pointer(SafetensorsEntry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        ObjectDisposedException.ThrowIf(_disposed, this);
        // An entry of another file would point anywhere.
        if (entry.Begin < 8 || entry.End > Length)
            throw new ArgumentException($"entry '{entry.Name}' is not of '{Path}'", nameof(entry));
        return _start + entry.Begin;
    }

    /// <summary>The offset in the file of an address in its map, or null where it lies elsewhere.</summary>
    public long? OffsetOf(byte* address) => address >= _start && address < _start + Length ? address - _start : null;

    /// <summary>The bytes of a tensor, little-endian, row-major. Tensors of 2 GiB and more are read through <see cref="Pointer"/> or in parts.</summary>
    public ReadOnlySpan<byte> Bytes(SafetensorsEntry entry)
    {
        var pointer = Pointer(entry);
        return new ReadOnlySpan<byte>(pointer, checked((int)entry.ByteCount));
    }

    /// <summary>A part of the bytes of a tensor, for tensors of any size.</summary>
    public ReadOnlySpan<byte> Bytes(SafetensorsEntry entry, long offset, int count)
    {
        var pointer = Pointer(entry);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, entry.ByteCount - count);
        return new ReadOnlySpan<byte>(pointer + offset, count);
    }

    /// <summary>Keeps the map alive, even past <see cref="Dispose"/>, until what is returned is disposed of.</summary>
    public IDisposable Hold()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return new MapHold(_view!.SafeMemoryMappedViewHandle);
    }

    /// <summary>Unmaps the file once no hold is left.</summary>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _view?.SafeMemoryMappedViewHandle.ReleasePointer();
        _view?.Dispose();
        _map?.Dispose();
    }
}
