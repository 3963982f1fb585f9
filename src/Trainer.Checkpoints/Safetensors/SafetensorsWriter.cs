using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Gguf;

namespace Trainer.Checkpoints.Safetensors;

/// <summary>
/// Writes a safetensors file with the very bytes of the official library: tensors by falling element type and then by name, compact JSON,
/// padded with spaces to 8 bytes. The tensors are declared first; their data may then come in any order and in any number of parts.
/// </summary>
/// <remarks>It writes in place: use it on a temporary name or inside a folder that is renamed when whole.</remarks>
public sealed class SafetensorsWriter : IDisposable
{
    /// <summary>What PyTorch's writers put into the header.</summary>
    public static IReadOnlyDictionary<string, string> PyTorchMetadata { get; } = new Dictionary<string, string> { ["format"] = "pt" };

    private readonly string _path;
    private readonly SafeFileHandle _file;
    private readonly Dictionary<string, SafetensorsEntry> _entries;
    private readonly Dictionary<string, long> _written;
    private readonly Dictionary<string, IncrementalHash>? _hashes;

    private SafetensorsWriter(string path, SafeFileHandle file, List<SafetensorsEntry> entries, bool verify)
    {
        _path = path;
        _file = file;
        Entries = entries;
        _entries = entries.ToDictionary(static entry => entry.Name, StringComparer.Ordinal);
        _written = entries.ToDictionary(static entry => entry.Name, static _ => 0L, StringComparer.Ordinal);
        _hashes = verify ? entries.ToDictionary(static entry => entry.Name, static _ => IncrementalHash.CreateHash(HashAlgorithmName.SHA256),
            StringComparer.Ordinal) : null;
    }

    /// <summary>The tensors in the order of the file; writing in this order is kindest to the disk.</summary>
    public IReadOnlyList<SafetensorsEntry> Entries { get; }

    /// <summary>Creates the file, reserves its whole size on the disk and writes the header.</summary>
    /// <param name="path">File to make; an existing one is overwritten.</param>
    /// <param name="tensors">Every tensor of the file; names must be unique.</param>
    /// <param name="metadata">Text pairs of the header, or null for none.</param>
    /// <param name="verify">Whether <see cref="Complete"/> reads the file again and compares every tensor with what was given.</param>
    /// <exception cref="CannotWriteException">No space, no right, read-only place.</exception>
    public static SafetensorsWriter Create(string path, IEnumerable<TensorDeclaration> tensors, IReadOnlyDictionary<string, string>? metadata,
        bool verify = false)
    {
        (var header, var entries) = Layout(tensors, metadata);
        var length = entries.Count == 0 ? header.Length : entries[^1].End;
        SafeFileHandle? file = null;
        try
        {
            file = File.OpenHandle(path, FileMode.Create, FileAccess.ReadWrite, FileShare.Read, FileOptions.None, preallocationSize: length);
            RandomAccess.Write(file, header, 0);
            return new SafetensorsWriter(path, file, entries, verify);
        }
        catch (Exception fault) when (WriteFault.Covers(fault))
        {
            file?.Dispose();
            throw WriteFault.Of(path, fault);
        }
    }

    /// <summary>Appends bytes to the data of one tensor.</summary>
    public void Write(string name, ReadOnlySpan<byte> bytes)
    {
        var entry = _entries.TryGetValue(name, out var found) ? found
            : throw new InvalidOperationException($"tensor '{name}' was not declared for '{_path}'");
        var done = _written[name];
        if (done + bytes.Length > entry.ByteCount)
            throw new InvalidOperationException($"tensor '{name}' of '{_path}' has {entry.ByteCount} bytes, {done + bytes.Length} were given");
        try
        {
            RandomAccess.Write(_file, bytes, entry.Begin + done);
        }
        catch (Exception fault) when (WriteFault.Covers(fault))
        {
            throw WriteFault.Of(_path, fault);
        }
        _hashes?[name].AppendData(bytes);
        _written[name] = done + bytes.Length;
    }

    /// <summary>Checks that every tensor is whole, and hands the file to the disk.</summary>
    public void Complete()
    {
        foreach (var entry in Entries)
        {
            if (_written[entry.Name] != entry.ByteCount)
                throw new InvalidOperationException($"tensor '{entry.Name}' of '{_path}' got {_written[entry.Name]} of its {entry.ByteCount} bytes");
        }
        try
        {
            RandomAccess.FlushToDisk(_file);
        }
        catch (Exception fault) when (WriteFault.Covers(fault))
        {
            throw WriteFault.Of(_path, fault);
        }
        if (_hashes is not null) Compare(_hashes);
    }

    /// <summary>Closes the file.</summary>
    public void Dispose()
    {
        _file.Dispose();
        if (_hashes is not null)
        {
            foreach (var hash in _hashes.Values) hash.Dispose();
        }
    }

    private void Compare(Dictionary<string, IncrementalHash> hashes)
    {
        const int Part = 1 << 24;
        // The handle here keeps the file open for writing, which a reader that forbids writers could not share.
        _file.Dispose();
        using var file = SafetensorsFile.Open(_path);
        foreach (var entry in Entries)
        {
            using var again = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            for (long at = 0; at < entry.ByteCount; at += Part)
                again.AppendData(file.Bytes(entry, at, (int)Math.Min(Part, entry.ByteCount - at)));
            if (!again.GetHashAndReset().AsSpan().SequenceEqual(hashes[entry.Name].GetHashAndReset()))
                throw new CannotWriteException($"cannot write '{_path}': tensor '{entry.Name}' reads back otherwise than it was written; check the disk");
        }
    }

    /// <summary>Bytes that a file of these tensors has, header included.</summary>
    public static long FileLength(IEnumerable<TensorDeclaration> tensors, IReadOnlyDictionary<string, string>? metadata)
    {
        (var header, var entries) = Layout(tensors, metadata);
        return entries.Count == 0 ? header.Length : entries[^1].End;
    }

    private static (byte[] Header, List<SafetensorsEntry> Entries) Layout(IEnumerable<TensorDeclaration> tensors, IReadOnlyDictionary<string, string>? metadata)
    {
        List<TensorDeclaration> ordered = [.. tensors];
        ordered.Sort(static (a, b) => a.Dtype != b.Dtype ? b.Dtype.CompareTo(a.Dtype) : CompareUtf8(a.Name, b.Name));
        var json = new StringBuilder("{");
        if (metadata is not null)
        {
            json.Append("\"__metadata__\":{");
            var comma = "";
            foreach ((var key, var value) in metadata.OrderBy(static pair => pair.Key, StringComparer.Ordinal))
            {
                AppendText(AppendText(json.Append(comma), key).Append(':'), value);
                comma = ",";
            }
            json.Append('}');
        }
        long at = 0;
        for (var i = 0; i < ordered.Count; i++)
        {
            var tensor = ordered[i];
            if (tensor.Name == "__metadata__" || (i > 0 && ordered[i - 1].Name == tensor.Name))
                throw new ArgumentException($"tensor name '{tensor.Name}' is reserved or used twice", nameof(tensors));
            var end = checked(at + tensor.ByteCount);
            AppendText(json.Append(json.Length == 1 ? "" : ","), tensor.Name).Append(":{\"dtype\":\"").Append(tensor.Dtype.Name())
                .Append("\",\"shape\":[").AppendJoin(',', tensor.Shape).Append("],\"data_offsets\":[").Append(at).Append(',').Append(end).Append("]}");
            at = end;
        }
        var text = Encoding.UTF8.GetBytes(json.Append('}').ToString());
        var padded = (text.Length + 7) / 8 * 8;
        var header = new byte[8 + padded];
        BinaryPrimitives.WriteUInt64LittleEndian(header, (ulong)padded);
        text.CopyTo(header, 8);
        header.AsSpan(8 + text.Length).Fill((byte)' ');
        var entries = new List<SafetensorsEntry>(ordered.Count);
        at = header.Length;
        foreach (var tensor in ordered)
        {
            entries.Add(new SafetensorsEntry(tensor.Name, tensor.Dtype, tensor.Shape, at, at + tensor.ByteCount));
            at += tensor.ByteCount;
        }
        return (header, entries);
    }

    // The official library compares UTF-8 bytes; UTF-16 order differs for characters beyond the basic plane.
    private static int CompareUtf8(string a, string b) => Encoding.UTF8.GetBytes(a).AsSpan().SequenceCompareTo(Encoding.UTF8.GetBytes(b));

    // As serde_json writes it: short escapes where they exist, no escape for anything printable.
    private static StringBuilder AppendText(StringBuilder json, string text)
    {
        json.Append('"');
        foreach (var c in text)
        {
            _ = c switch
            {
                '"' => json.Append("\\\""),
                '\\' => json.Append("\\\\"),
                '\b' => json.Append("\\b"),
                '\f' => json.Append("\\f"),
                '\n' => json.Append("\\n"),
                '\r' => json.Append("\\r"),
                '\t' => json.Append("\\t"),
                < ' ' => json.Append("\\u").Append(((int)c).ToString("x4")),
                _ => json.Append(c),
            };
        }
        return json.Append('"');
    }
}
