using System.Text;
using Microsoft.Win32.SafeHandles;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Safetensors;

namespace Trainer.Checkpoints.Gguf;

/// <summary>Writes a GGUF version 3 file: metadata and tensor table first, then the data in any order and any number of parts.</summary>
/// <remarks>It writes in place: use it on a temporary name (<see cref="AtomicFile"/>).</remarks>
public sealed class GgufWriter : IDisposable
{
    private const int Alignment = 32;

    private readonly string _path;
    private readonly SafeFileHandle _file;
    private readonly Dictionary<string, GgufTensor> _tensors;
    private readonly Dictionary<string, long> _written;

    private GgufWriter(string path, SafeFileHandle file, List<GgufTensor> tensors)
    {
        (_path, _file, Tensors) = (path, file, tensors);
        _tensors = tensors.ToDictionary(static tensor => tensor.Name, StringComparer.Ordinal);
        _written = tensors.ToDictionary(static tensor => tensor.Name, static _ => 0L, StringComparer.Ordinal);
    }

    /// <summary>The tensors in the order of the file.</summary>
    public IReadOnlyList<GgufTensor> Tensors { get; }

    /// <summary>Creates the file with its header.</summary>
    /// <exception cref="CannotWriteException">No space, no right, read-only place.</exception>
    public static GgufWriter Create(string path, IReadOnlyList<KeyValuePair<string, GgufValue>> metadata, IReadOnlyList<GgufDeclaration> tensors)
    {
        ArgumentNullException.ThrowIfNull(metadata);
        ArgumentNullException.ThrowIfNull(tensors);
        var header = new MemoryStream();
        List<GgufTensor> placed = [];
        using (var writer = new BinaryWriter(header, Encoding.UTF8, leaveOpen: true))
        {
            writer.Write("GGUF"u8);
            writer.Write(3u);
            writer.Write((ulong)tensors.Count);
            writer.Write((ulong)metadata.Count);
            foreach ((var key, var value) in metadata)
            {
                Text(writer, key);
                writer.Write((uint)value.Type);
                Value(writer, value);
            }
            long at = 0;
            foreach (var tensor in tensors)
            {
                Text(writer, tensor.Name);
                writer.Write((uint)tensor.Dimensions.Length);
                foreach (var side in tensor.Dimensions) writer.Write((ulong)side);
                writer.Write((uint)tensor.Type);
                writer.Write((ulong)at);
                placed.Add(new GgufTensor(tensor.Name, tensor.Type, tensor.Dimensions, at, at + tensor.ByteCount));
                at = Aligned(at + tensor.ByteCount);
            }
        }
        var start = Aligned(header.Length);
        placed = [.. placed.Select(tensor => tensor with { Begin = tensor.Begin + start, End = tensor.End + start })];
        SafeFileHandle? file = null;
        try
        {
            var length = placed.Count == 0 ? start : Aligned(placed[^1].End);
            file = File.OpenHandle(path, FileMode.Create, FileAccess.ReadWrite, FileShare.Read, FileOptions.None, length);
            RandomAccess.SetLength(file, length);
            RandomAccess.Write(file, header.ToArray(), 0);
            return new GgufWriter(path, file, placed);
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
        var tensor = _tensors.TryGetValue(name, out var found)
            ? found : throw new InvalidOperationException($"tensor '{name}' was not declared for '{_path}'");
        var done = _written[name];
        if (done + bytes.Length > tensor.ByteCount)
            throw new InvalidOperationException($"tensor '{name}' of '{_path}' has {tensor.ByteCount} bytes, {done + bytes.Length} were given");
        try
        {
            RandomAccess.Write(_file, bytes, tensor.Begin + done);
        }
        catch (Exception fault) when (WriteFault.Covers(fault))
        {
            throw WriteFault.Of(_path, fault);
        }
        _written[name] = done + bytes.Length;
    }

    /// <summary>Checks that every tensor is whole, and hands the file to the disk.</summary>
    public void Complete()
    {
        foreach (var tensor in Tensors)
        {
            if (_written[tensor.Name] != tensor.ByteCount)
                throw new InvalidOperationException($"tensor '{tensor.Name}' of '{_path}' got {_written[tensor.Name]} of its {tensor.ByteCount} bytes");
        }
        RandomAccess.FlushToDisk(_file);
    }

    /// <summary>Closes the file.</summary>
    public void Dispose() => _file.Dispose();

    private static long Aligned(long at) => (at + Alignment - 1) / Alignment * Alignment;

    private static void Text(BinaryWriter writer, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        writer.Write((ulong)bytes.Length);
        writer.Write(bytes);
    }

    private static void Value(BinaryWriter writer, GgufValue value)
    {
        if (value.Type != GgufValueType.Array)
        {
            Scalar(writer, value.Value);
            return;
        }
        var values = (Array)value.Value;
        writer.Write((uint)value.ElementType!);
        writer.Write((ulong)values.Length);
        foreach (var item in values)
        {
            if (item is GgufValue inner) Value(writer, inner);
            else Scalar(writer, item);
        }
    }

    private static void Scalar(BinaryWriter writer, object value)
    {
        switch (value)
        {
            case string text: Text(writer, text); break;
            case bool flag: writer.Write(flag); break;
            case byte number: writer.Write(number); break;
            case sbyte number: writer.Write(number); break;
            case ushort number: writer.Write(number); break;
            case short number: writer.Write(number); break;
            case uint number: writer.Write(number); break;
            case int number: writer.Write(number); break;
            case ulong number: writer.Write(number); break;
            case long number: writer.Write(number); break;
            case float number: writer.Write(number); break;
            case double number: writer.Write(number); break;
            default: throw new ArgumentException($"a value of type {value.GetType().Name} has no place in GGUF");
        }
    }
}
