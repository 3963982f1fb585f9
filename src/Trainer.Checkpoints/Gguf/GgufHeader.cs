using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Trainer.Checkpoints.Safetensors;

namespace Trainer.Checkpoints.Gguf;

/// <summary>Reads a GGUF header from a stream, believing no count or length before it fits into what is left of the file.</summary>
internal sealed class GgufHeader
{
    private const uint Magic = 0x46554747;
    private const int MaxDepth = 4, MaxTensorName = 63;

    // A vocabulary of a million pieces takes a few dozen megabytes.
    private const long MaxTextBytes = 64L << 20, MaxArrayBytes = 512L << 20;

    private static readonly UTF8Encoding Strict = new(false, throwOnInvalidBytes: true);

    private readonly string _path;
    private readonly Stream _stream;
    private readonly byte[] _buffer = new byte[8];

    private GgufHeader(string path, Stream stream) => (_path, _stream) = (path, stream);

    internal List<KeyValuePair<string, GgufValue>> Metadata { get; } = [];

    internal List<GgufTensor> Tensors { get; } = [];

    internal static GgufHeader Read(string path, Stream stream)
    {
        var header = new GgufHeader(path, stream);
        header.Parse();
        return header;
    }

    private long Left => _stream.Length - _stream.Position;

    private BadFileException Bad(string what)
        => new($"cannot read '{_path}' as GGUF: {what}; the file is damaged or of another format, copy or download it again");

    private ReadOnlySpan<byte> Take(int count)
    {
        if (Left < count) throw Bad("it is cut off");
        _stream.ReadExactly(_buffer, 0, count);
        return _buffer.AsSpan(0, count);
    }

    private uint UInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

    private ulong UInt64() => BinaryPrimitives.ReadUInt64LittleEndian(Take(8));

    private long Count(string what, int smallestBytes)
    {
        var count = UInt64();
        return count <= (ulong)(Left / smallestBytes) ? (long)count : throw Bad($"it announces {count} {what}, for which it is too short");
    }

    private string Text(string what)
    {
        var count = Count($"bytes of {what}", 1);
        var bytes = count <= MaxTextBytes ? new byte[count] : throw Bad($"{what} is {count} bytes long");
        _stream.ReadExactly(bytes);
        try
        {
            return Strict.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            // Vocabularies may hold pieces that are no whole characters; they are shown with marks in their place.
            return Encoding.UTF8.GetString(bytes);
        }
    }

    private void Parse()
    {
        if (Left < 24 || UInt32() != Magic) throw Bad("it does not begin with 'GGUF'");
        var version = UInt32();
        if (version is not (2 or 3)) throw Bad($"its version is {version}, versions 2 and 3 (little-endian) are read");
        long tensors = Count("tensors", 24), keys = Count("keys", 12);
        var seen = new HashSet<string>(StringComparer.Ordinal);
        for (long i = 0; i < keys; i++)
        {
            var key = Text("a key");
            if (!seen.Add(key)) throw Bad($"the key '{key}' comes twice");
            Metadata.Add(KeyValuePair.Create(key, Value(key, (GgufValueType)UInt32(), 0)));
        }
        ParseTensors(tensors);
    }

    private GgufValue Value(string key, GgufValueType type, int depth)
    {
        if (type != GgufValueType.Array) return new GgufValue(type, Scalar(key, type));
        var element = (GgufValueType)UInt32();
        if (depth >= MaxDepth) throw Bad($"the arrays of '{key}' lie too deep in each other");
        var smallest = element switch { GgufValueType.Text => 8, GgufValueType.Array => 12, _ => SizeOf(key, element) };
        var count = Count($"values of '{key}'", smallest);
        if (count * smallest > MaxArrayBytes)
            throw Bad($"'{key}' has {count} values, more than {MaxArrayBytes >> 20} MiB of them");
        object values = element switch
        {
            GgufValueType.Text => Fill(count, () => Text($"'{key}'")),
            GgufValueType.Array => Fill<object>(count, () => Value(key, GgufValueType.Array, depth + 1)),
            GgufValueType.Float32 => Numbers<float>(count),
            GgufValueType.Int32 => Numbers<int>(count),
            // A vocabulary's arrays have a million values, and a bad file's a hundred: none of them is worth an object.
            GgufValueType.UInt8 => Numbers<byte>(count),
            GgufValueType.Int8 => Numbers<sbyte>(count),
            GgufValueType.UInt16 => Numbers<ushort>(count),
            GgufValueType.Int16 => Numbers<short>(count),
            GgufValueType.UInt32 => Numbers<uint>(count),
            GgufValueType.UInt64 => Numbers<ulong>(count),
            GgufValueType.Int64 => Numbers<long>(count),
            GgufValueType.Float64 => Numbers<double>(count),
            _ => Flags(key, Numbers<byte>(count)),
        };
        return new GgufValue(GgufValueType.Array, values, element);
    }

    private static T[] Fill<T>(long count, Func<T> read)
    {
        var values = new T[count];
        for (var i = 0; i < values.Length; i++) values[i] = read();
        return values;
    }

    // Little-endian, as every machine that this program runs on.
    private T[] Numbers<T>(long count) where T : unmanaged
    {
        var values = new T[count];
        _stream.ReadExactly(MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    private bool[] Flags(string key, byte[] bytes) =>
        bytes.AsSpan().IndexOfAnyExcept((byte)0, (byte)1) < 0
        ? MemoryMarshal.Cast<byte, bool>(bytes).ToArray() : throw Bad($"'{key}' is neither true nor false");

    private int SizeOf(string key, GgufValueType type) => type switch
    {
        GgufValueType.UInt8 or GgufValueType.Int8 or GgufValueType.Bool => 1,
        GgufValueType.UInt16 or GgufValueType.Int16 => 2,
        GgufValueType.UInt32 or GgufValueType.Int32 or GgufValueType.Float32 => 4,
        GgufValueType.UInt64 or GgufValueType.Int64 or GgufValueType.Float64 => 8,
        _ => throw Bad($"the type {(int)type} of '{key}' is unknown"),
    };

    private object Scalar(string key, GgufValueType type)
    {
        if (type == GgufValueType.Text) return Text($"'{key}'");
        var bytes = Take(SizeOf(key, type));
        return type switch
        {
            GgufValueType.UInt8 => bytes[0],
            GgufValueType.Int8 => (sbyte)bytes[0],
            GgufValueType.UInt16 => BinaryPrimitives.ReadUInt16LittleEndian(bytes),
            GgufValueType.Int16 => BinaryPrimitives.ReadInt16LittleEndian(bytes),
            GgufValueType.UInt32 => BinaryPrimitives.ReadUInt32LittleEndian(bytes),
            GgufValueType.Int32 => BinaryPrimitives.ReadInt32LittleEndian(bytes),
            GgufValueType.Float32 => BinaryPrimitives.ReadSingleLittleEndian(bytes),
            GgufValueType.UInt64 => BinaryPrimitives.ReadUInt64LittleEndian(bytes),
            GgufValueType.Int64 => BinaryPrimitives.ReadInt64LittleEndian(bytes),
            GgufValueType.Float64 => BinaryPrimitives.ReadDoubleLittleEndian(bytes),
            _ => bytes[0] <= 1 ? bytes[0] == 1 : throw Bad($"'{key}' is neither true nor false"),
        };
    }

    private void ParseTensors(long count)
    {
        long alignment = Metadata.FirstOrDefault(static pair => pair.Key == "general.alignment").Value?.Value is uint given ? given : 32;
        if (alignment < 1 || (alignment & (alignment - 1)) != 0 || alignment > 1 << 20)
            throw Bad($"its alignment {alignment} is no power of two");
        var names = new HashSet<string>(StringComparer.Ordinal);
        for (long i = 0; i < count; i++)
        {
            var name = Text("a tensor's name");
            if (name.Length is 0 or > MaxTensorName || !names.Add(name))
                throw Bad($"the tensor name '{name}' is empty, too long or comes twice");
            var sides = UInt32();
            if (sides is 0 or > 4) throw Bad($"tensor '{name}' has {sides} dimensions");
            long[] dimensions = [.. Enumerable.Range(0, (int)sides).Select(_ => UInt64() is var side && side <= long.MaxValue ? (long)side : -1)];
            var type = (GgufTensorType)UInt32();
            var offset = UInt64();
            var bytes = type.ByteCount(dimensions)
                ?? throw Bad($"tensor '{name}': type {(int)type} and dimensions [{string.Join(", ", dimensions)}] are no size that a file can have");
            if (offset > (ulong)_stream.Length || offset % (ulong)alignment != 0)
                throw Bad($"tensor '{name}' begins at {offset}, which is outside the file or not aligned to {alignment}");
            Tensors.Add(new GgufTensor(name, type, dimensions, (long)offset, (long)offset + bytes));
        }
        Place((_stream.Position + alignment - 1) / alignment * alignment);
    }

    // Offsets come relative to the data; from here on they count from the start of the file.
    private void Place(long dataStart)
    {
        GgufTensor? before = null;
        foreach (var tensor in Tensors.OrderBy(static tensor => tensor.Begin).ThenBy(static tensor => tensor.End))
        {
            if (tensor.End > _stream.Length - dataStart)
                throw Bad($"the data of tensor '{tensor.Name}' ends {tensor.End - (_stream.Length - dataStart)} bytes beyond the file");
            if (before is not null && tensor.Begin < before.End)
                throw Bad($"the data of tensor '{tensor.Name}' overlaps that of '{before.Name}'");
            before = tensor;
        }
        for (var i = 0; i < Tensors.Count; i++)
            Tensors[i] = Tensors[i] with { Begin = Tensors[i].Begin + dataStart, End = Tensors[i].End + dataStart };
    }
}
