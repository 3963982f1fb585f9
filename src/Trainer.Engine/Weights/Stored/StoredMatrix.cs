using System.Runtime.InteropServices;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Nf4;
using Trainer.Checkpoints.Safetensors;
using Trainer.Models;
using Trainer.Models.Config;

namespace Trainer.Engine.Weights.Stored;

/// <summary>Reads a linear's weight from the tensors of a quantized folder, exactly as the tool that made it defines its values.</summary>
/// <remarks>Which matrices are quantized is decided tensor by tensor: what lies there as a plain weight is one, whatever config.json lists.</remarks>
internal static class StoredMatrix
{
    private static readonly string[] Int4Parts = ["qweight", "weight_packed"];

    /// <summary>Whether the weight is stored in codes of the folder's format.</summary>
    /// <param name="files">The folder.</param>
    /// <param name="stored">Its format.</param>
    /// <param name="name">Name of the weight, <c>PATH.weight</c>.</param>
    public static bool Has(WeightFiles files, StoredQuantization stored, string name)
    {
        if (stored.IsNf4) return StoredNf4.Has(files, name);
        if (stored.Format == StoredFormat.Gguf) return GgufLayout.TypeOf(files, name) is not null;
        if (stored.Format == StoredFormat.BnbFp4) return files.Has(name + Nf4Folder.Fp4StateSuffix);
        if (files.Has(name) && files.Entry(name).Dtype == SafetensorsDtype.I8) return true;
        return Int4Parts.Any(part => files.Has(Part(name, part))) || (files.Has(name) && files.Entry(name).Dtype == SafetensorsDtype.F8E4M3);
    }

    /// <summary>The weight.</summary>
    /// <param name="files">The folder.</param>
    /// <param name="stored">Its format.</param>
    /// <param name="name">Name of the weight, <c>PATH.weight</c>.</param>
    /// <param name="rows">Output features.</param>
    /// <param name="columns">Input features.</param>
    /// <exception cref="ModelException">A part is missing, has another shape or type, or holds scales that are 0, NaN or infinite; the tensor is
    /// named.</exception>
    public static IFrozenWeight Read(WeightFiles files, StoredQuantization stored, string name, long rows, long columns)
    {
        var own = stored.For(name);
        RequireOfFormat(files, own, name);
        return own.Format switch
        {
            StoredFormat.Nf4 => StoredNf4.Read(files, name, rows, columns),
            StoredFormat.BnbFp4 => BitsAndBytesLayout.Fp4(files, name, rows, columns),
            StoredFormat.BnbInt8 => BitsAndBytesLayout.Int8(files, name, rows, columns),
            StoredFormat.Gptq => GptqLayout.Read(files, own, name, rows, columns),
            StoredFormat.Awq => AwqLayout.Read(files, own, name, rows, columns),
            StoredFormat.AwqGemv => AwqGemvLayout.Read(files, own, name, rows, columns),
            StoredFormat.CompressedPacked or StoredFormat.CompressedInt8 => CompressedIntegerLayout.Read(files, own, name, rows, columns),
            StoredFormat.Gguf => GgufLayout.Read(files, name, rows, columns),
            _ => Fp8Layout.Read(files, own, name, rows, columns),
        };
    }

    // Codes of another tool than config.json names, or of another of its groups.
    private static void RequireOfFormat(WeightFiles files, StoredQuantization stored, string name)
    {
        var isRight = stored.Format switch
        {
            StoredFormat.Gptq or StoredFormat.Awq or StoredFormat.AwqGemv => files.Has(Part(name, "qweight")),
            StoredFormat.CompressedPacked => files.Has(Part(name, "weight_packed")),
            StoredFormat.CompressedInt8 or StoredFormat.BnbInt8 => files.Has(name) && files.Entry(name).Dtype == SafetensorsDtype.I8,
            StoredFormat.Fp8 or StoredFormat.CompressedFp8 => files.Has(name) && files.Entry(name).Dtype == SafetensorsDtype.F8E4M3,
            _ => true,
        };
        if (!isRight)
            throw new ModelException($"tensor '{name}' of '{files.Folder}' lies in other codes than config.json says ({stored.Name}); config and weights are "
                + "of different folders");
    }

    /// <summary>The weights of a folder that are stored in codes, by name, with their shapes [rows, columns].</summary>
    public static IEnumerable<(string Name, long Rows, long Columns)> List(WeightFiles files, StoredQuantization stored)
    {
        foreach (var tensor in files.Names)
        {
            var shape = files.Entry(tensor).Shape;
            var path = tensor[..(tensor.LastIndexOf('.') + 1)];
            if (GgufLayout.OwnerOf(tensor) is var (owner, type) && shape is [var blocked, var bytes])
            {
                yield return (owner, blocked, bytes / type.Block()!.Value.Bytes * type.Block()!.Value.Elements);
                continue;
            }
            if (tensor.EndsWith(Nf4Folder.Fp4StateSuffix, StringComparison.Ordinal))
            {
                owner = tensor[..^Nf4Folder.Fp4StateSuffix.Length];
                if (BitsAndBytesLayout.State(files, owner).Shape is [var high, var wide]) yield return (owner, high, wide);
            }
            else if (tensor.EndsWith(".weight", StringComparison.Ordinal) && files.Entry(tensor).Dtype is SafetensorsDtype.F8E4M3 or SafetensorsDtype.I8
                && shape is [var rows, var columns])
                yield return (tensor, rows, columns);
            else if (tensor.EndsWith(".qweight", StringComparison.Ordinal) && shape is [var first, var second])
                yield return Words(files, stored.For(path + "weight"), path, first, second);
            else if (tensor.EndsWith(".weight_packed", StringComparison.Ordinal) && shape is [var outputs, var words])
                yield return (path + "weight", outputs, Columns(files, path, 32 / stored.For(path + "weight").Bits * words));
        }
    }

    private static (string Name, long Rows, long Columns) Words(WeightFiles files, StoredQuantization stored, string path, long first, long second) =>
        stored.Format switch
        {
            StoredFormat.Awq => (path + "weight", 8 * second, first),
            StoredFormat.AwqGemv => (path + "weight", first, 8 * second),
            _ => (path + "weight", second, files.Has(path + "g_idx") ? files.Entry(path + "g_idx").ElementCount : 32 * first / stored.Bits),
        };

    /// <summary>Whether a tensor is a part of a weight in codes, and no weight itself.</summary>
    public static bool IsPart(WeightFiles files, string tensor)
    {
        if (GgufLayout.OwnerOf(tensor) is not null) return true;
        if (BitsAndBytesLayout.Fp4Parts.Any(part => tensor.EndsWith(part, StringComparison.Ordinal)
            && files.Has(tensor[..^part.Length] + Nf4Folder.Fp4StateSuffix))) return true;
        var at = tensor.LastIndexOf('.') + 1;
        var path = tensor[..at];
        return tensor[at..] switch
        {
            "qweight" or "qzeros" or "scales" or "g_idx" => files.Has(path + "qweight"),
            "weight_packed" or "weight_shape" or "weight_g_idx" => files.Has(path + "weight_packed"),
            "weight_scale" or "weight_scale_inv" or "activation_scale" or "input_scale" or "weight_zero_point" => true,
            "SCB" or "weight_format" => files.Has(path + "weight"),
            // Zeros beside a matrix without bias: the loader refuses others.
            "bias" => (files.Has(path + "qweight") || files.Has(path + "weight_packed"))
                && !files.TakeBytes(tensor, files.Entry(tensor).Dtype, -1).ContainsAnyExcept((byte)0),
            _ => false,
        };
    }

    private static long Columns(WeightFiles files, string path, long otherwise)
        => files.Has(path + "weight_shape") ? MemoryMarshal.Cast<byte, long>(files.TakeBytes(path + "weight_shape", SafetensorsDtype.I64, 2))[1] : otherwise;

    /// <summary>Name of a part that lies beside a weight.</summary>
    public static string Part(string name, string part) => name[..^"weight".Length] + part;

    /// <summary>Words of 32 bits, of the given shape.</summary>
    public static ReadOnlySpan<uint> Words(WeightFiles files, string name, params ReadOnlySpan<long> shape)
    {
        RequireShape(files, name, shape);
        return MemoryMarshal.Cast<byte, uint>(files.TakeBytes(name, SafetensorsDtype.I32, -1));
    }

    /// <summary>Scales as float32, and the type they are stored in; each is above or below 0, and finite.</summary>
    public static (float[] Values, ProductType Type) Scales(WeightFiles files, string name, params ReadOnlySpan<long> shape)
        => Scales(files, name, mayBeZero: false, shape);

    /// <summary>The same of a table of rows that are longer than they need be: what lies behind is not looked at.</summary>
    /// <param name="files">The folder.</param>
    /// <param name="name">The tensor.</param>
    /// <param name="used">Scales of a row that count.</param>
    /// <param name="shape">Its shape.</param>
    public static (float[] Values, ProductType Type) Scales(WeightFiles files, string name, long used, long[] shape)
    {
        var (values, type) = Scales(files, name, mayBeZero: true, shape);
        for (long i = 0; i < values.LongLength; i++)
            if (values[i] == 0 && i % shape[^1] < used) throw Damaged(files, name, $"scale {i} is 0");
        return (values, type);
    }

    /// <summary>The same where a row of zeros has a scale of 0.</summary>
    public static unsafe (float[] Values, ProductType Type) Scales(WeightFiles files, string name, bool mayBeZero, params ReadOnlySpan<long> shape)
    {
        RequireShape(files, name, shape);
        var entry = files.Entry(name);
        var type = entry.Dtype switch
        {
            SafetensorsDtype.F32 or SafetensorsDtype.F8E8M0 => ProductType.Float32,
            SafetensorsDtype.F16 => ProductType.Float16,
            SafetensorsDtype.BF16 => ProductType.BFloat16,
            var other => throw Damaged(files, name, $"scales of type {other.Name()} are not read"),
        };
        var values = new float[entry.ElementCount];
        fixed (byte* bytes = files.TakeBytes(name, entry.Dtype, -1))
        {
            for (long i = 0; i < values.LongLength; i++)
            {
                values[i] = entry.Dtype switch
                {
                    SafetensorsDtype.F32 => ((float*)bytes)[i],
                    SafetensorsDtype.F16 => (float)((System.Half*)bytes)[i],
                    // An exponent alone; all ones is no number.
                    SafetensorsDtype.F8E8M0 => bytes[i] < 255 ? MathF.ScaleB(1, bytes[i] - 127) : throw Damaged(files, name, $"scale {i} is NaN"),
                    _ => BitConverter.UInt32BitsToSingle((uint)((ushort*)bytes)[i] << 16),
                };
                if (values[i] == 0 && !mayBeZero) throw Damaged(files, name, $"scale {i} is 0");
            }
        }
        return (values, type);
    }

    /// <summary>What is wrong with a tensor of a quantized folder.</summary>
    public static ModelException Damaged(WeightFiles files, string name, string why)
        => new($"tensor '{name}' of '{files.Folder}': {why}; the quantized folder is damaged or from another tool");

    /// <summary>Number of groups of a row, whose last may be cut.</summary>
    public static int Groups(StoredQuantization stored, long columns) => stored.GroupSize is { } size ? checked((int)((columns + size - 1) / size)) : 1;

    /// <summary>The group of each column where columns lie in order.</summary>
    public static int[] GroupsInOrder(StoredQuantization stored, long columns)
    {
        var groups = new int[columns];
        if (stored.GroupSize is { } size)
            for (long column = 0; column < columns; column++) groups[column] = (int)(column / size);
        return groups;
    }

    /// <summary>The group of each column as a tensor names it, checked.</summary>
    public static int[] GroupsByTable(WeightFiles files, string name, long columns, int groups)
    {
        var table = MemoryMarshal.Cast<uint, int>(Words(files, name, columns)).ToArray();
        foreach (var group in table)
            if ((uint)group >= (uint)groups) throw Damaged(files, name, $"group {group} is not one of {groups}");
        return table;
    }

    /// <summary>Refuses another shape.</summary>
    public static void RequireShape(WeightFiles files, string name, ReadOnlySpan<long> shape)
    {
        if (!files.Has(name)) throw new ModelException($"tensor '{name}' is missing from '{files.Folder}'; the quantized folder is incomplete");
        var found = files.Entry(name).Shape;
        if (!shape.SequenceEqual(found))
            throw Damaged(files, name, $"its shape is [{string.Join(", ", found)}], config.json needs [{string.Join(", ", shape.ToArray())}]");
    }
}
