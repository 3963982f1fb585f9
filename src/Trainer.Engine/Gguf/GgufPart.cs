using System.Runtime.InteropServices;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Weights.Stored;
using Trainer.Models;

namespace Trainer.Engine.Gguf;

/// <summary>A tensor of the folder that a GGUF file becomes, and where its rows lie in the file.</summary>
internal sealed record GgufPart(string Name, long[] Shape, GgufTensor Source) : IGgufPart
{
    private const int BytesAtOnce = 1 << 24;

    /// <summary>First byte in the source: an expert's matrix is a part of one tensor of all.</summary>
    public long Begin { get; init; }

    /// <summary>The file's row for each row, or null where they are the same.</summary>
    public int[]? Rows { get; init; }

    /// <summary>The file's column for each column, or null.</summary>
    public int[]? Columns { get; init; }

    /// <summary>What happened to each value on its way into the file.</summary>
    public GgufChange Change { get; init; }

    /// <summary>Blocks become float32: tables of tokens are read by row, and columns may move out of their block.</summary>
    public bool IsDecoded { get; init; }

    /// <summary>A tensor whose values alternate with the source's, or null.</summary>
    public GgufTensor? Second { get; init; }

    /// <summary>Whether the tensor keeps the file's blocks.</summary>
    public bool IsCoded => GgufDecoder.Types.Contains(Source.Type) && !IsDecoded;

    /// <summary>Bytes in the folder.</summary>
    public long ByteCount => Count * (IsDecoded ? 4 * Width : SourceRowBytes);

    /// <summary>Its declaration: blocks go by a name of their own.</summary>
    public TensorDeclaration Declaration => IsCoded
        ? new(GgufLayout.NameOf(Name, Source.Type), SafetensorsDtype.U8, [Count, SourceRowBytes])
        : new(Name, IsDecoded ? SafetensorsDtype.F32
            : Source.Type switch { GgufTensorType.F32 => SafetensorsDtype.F32, GgufTensorType.F16 => SafetensorsDtype.F16, _ => SafetensorsDtype.BF16 }, Shape);

    private long Elements => Shape.Aggregate(1L, (product, side) => product * side);

    // Of a vector that moves, elements are rows of one value.
    private long Width => Shape.Length == 1 ? Rows is null ? Elements : 1 : Shape[^1];

    private long Count => Elements / Width;

    private long SourceRowBytes => Source.Type.ByteCount([Width]) ?? 0;

    /// <summary>Whether columns move in whole blocks of a type.</summary>
    public static bool HasWholeBlocks(int[]? columns, GgufTensorType type)
    {
        if (columns is null) return true;
        var elements = type.Block()!.Value.Elements;
        for (var i = 0; i < columns.Length; i++)
            if (columns[i] % elements != i % elements || columns[i] / elements != columns[i / elements * elements] / elements) return false;
        return columns.Length % elements == 0;
    }

    /// <summary>Copies the values.</summary>
    public void Copy(GgufFile file, SafetensorsWriter writer)
    {
        if (Second is not null)
        {
            writer.Write(Name, Alternating(file.Read(Source), file.Read(Second)));
            return;
        }
        var step = Math.Max(1, BytesAtOnce / SourceRowBytes);
        for (long row = 0; row < Count; row += step)
        {
            var count = Math.Min(step, Count - row);
            var bytes = Rows is null ? file.Read(Source, Begin + row * SourceRowBytes, checked((int)(count * SourceRowBytes))) : Moved(file, row, (int)count);
            var (elements, size) = Source.Type.Block()!.Value;
            if (IsDecoded) (bytes, elements, size) = (Decoded(bytes), 1, 4);
            if (Columns is not null) bytes = Turned(bytes, elements, size);
            if (Change != GgufChange.None) Undo(bytes);
            writer.Write(Declaration.Name, bytes);
        }
    }

    private byte[] Moved(GgufFile file, long first, int count)
    {
        var bytes = new byte[count * SourceRowBytes];
        for (var row = 0; row < count; row++)
            file.Read(Source, Begin + Rows![first + row] * SourceRowBytes, (int)SourceRowBytes).CopyTo(bytes, row * SourceRowBytes);
        return bytes;
    }

    // Whole units of a row: single values, or blocks.
    private byte[] Turned(byte[] bytes, int elements, int size)
    {
        var units = Columns!.Length / elements;
        var turned = new byte[bytes.Length];
        for (var row = 0; row < bytes.Length / (units * size); row++)
            for (var unit = 0; unit < units; unit++)
                bytes.AsSpan((row * units + Columns[unit * elements] / elements) * size, size).CopyTo(turned.AsSpan((row * units + unit) * size));
        return turned;
    }

    private byte[] Decoded(byte[] blocks) => MemoryMarshal.AsBytes<float>(GgufDecoder.Floats(Source.Type, blocks)).ToArray();

    private void Undo(byte[] bytes)
    {
        if (Source.Type != GgufTensorType.F32)
            throw new ModelException($"tensor '{Source.Name}' is of type {Source.Type}; norms and decays of a GGUF file are read in F32 alone");
        foreach (ref var value in MemoryMarshal.Cast<byte, float>(bytes.AsSpan())) value = Change == GgufChange.PlusOne ? value - 1 : MathF.Log(-value);
    }

    private static byte[] Alternating(byte[] first, byte[] second)
    {
        var all = new float[first.Length / 2];
        var one = MemoryMarshal.Cast<byte, float>(first.AsSpan());
        var two = MemoryMarshal.Cast<byte, float>(second.AsSpan());
        for (var i = 0; i < one.Length; i++) (all[2 * i], all[2 * i + 1]) = (one[i], two[i]);
        return MemoryMarshal.AsBytes(all.AsSpan()).ToArray();
    }
}
