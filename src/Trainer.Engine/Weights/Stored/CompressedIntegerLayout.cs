using System.Runtime.InteropServices;
using Trainer.Checkpoints.Safetensors;

namespace Trainer.Engine.Weights.Stored;

/// <summary>The integers of compressed-tensors: pack-quantized, stored plus half of their range in words of input features, and int-quantized, 8 bits as they
/// are; zero points only where codes are not symmetric.</summary>
/// <remarks>
/// <code>
/// weight_packed I32 [out, in bits / 32]   weight_shape I64 [2]     or     weight I8 [out, in]
/// weight_scale [out, groups], or one number      weight_g_idx I32 [in] where columns were sorted
/// weight_zero_point I32 [out bits / 32, groups], packed along the output features, or I8 [out, groups]
/// W[o,i] = (q - z) scale[o,g] in the type of the scale
/// </code>
/// </remarks>
internal static class CompressedIntegerLayout
{
    /// <summary>Reads one weight.</summary>
    public static IntegerWeight Read(WeightFiles files, Models.Config.StoredQuantization stored, string name, long rows, long columns)
    {
        var (bits, groups) = (stored.Bits, StoredMatrix.Groups(stored, columns));
        var (scales, type) = Scales(files, StoredMatrix.Part(name, "weight_scale"), rows, groups);
        var weight = new IntegerWeight(rows, columns, bits, Groups(files, stored, name, columns, groups), scales, Zeros(files, name, bits, rows, groups), type);
        if (stored.Format == Models.Config.StoredFormat.CompressedInt8)
        {
            var plain = files.TakeBytes(name, SafetensorsDtype.I8, rows * columns);
            StoredMatrix.RequireShape(files, name, [rows, columns]);
            for (long row = 0; row < rows; row++)
                for (long column = 0; column < columns; column++) weight.SetCode(row, column, (byte)(plain[checked((int)(row * columns + column))] + 128));
            return weight;
        }
        RequireSides(files, StoredMatrix.Part(name, "weight_shape"), rows, columns);
        var words = PackedCodes.Words(columns, bits);
        var codes = new PackedCodes(StoredMatrix.Words(files, StoredMatrix.Part(name, "weight_packed"), rows, words), bits);
        for (long row = 0; row < rows; row++)
            for (long column = 0; column < columns; column++) weight.SetCode(row, column, codes[row * words, column]);
        return weight;
    }

    private static int[] Groups(WeightFiles files, Models.Config.StoredQuantization stored, string name, long columns, int groups)
    {
        var table = StoredMatrix.Part(name, "weight_g_idx");
        // A table of -1 was never filled.
        return files.Has(table) && StoredMatrix.Words(files, table, columns).ContainsAnyExcept(uint.MaxValue)
            ? StoredMatrix.GroupsByTable(files, table, columns, groups) : StoredMatrix.GroupsInOrder(stored, columns);
    }

    // One number stands for all rows.
    private static (float[] Values, ProductType Type) Scales(WeightFiles files, string name, long rows, int groups)
    {
        if (files.Has(name) && groups == 1 && files.Entry(name).Shape is [] or [1] or [1, 1] && rows > 1)
        {
            var (one, type) = StoredMatrix.Scales(files, name, files.Entry(name).Shape);
            var all = new float[rows];
            Array.Fill(all, one[0]);
            return (all, type);
        }
        return files.Has(name) && groups == 1 && files.Entry(name).Shape is [var length] && length == rows
            ? StoredMatrix.Scales(files, name, rows) : StoredMatrix.Scales(files, name, rows, groups);
    }

    private static byte[] Zeros(WeightFiles files, string name, int bits, long rows, int groups)
    {
        var (zeros, half, part) = (new byte[rows * groups], 1 << (bits - 1), StoredMatrix.Part(name, "weight_zero_point"));
        if (!files.Has(part)) Array.Fill(zeros, (byte)half);
        else if (files.Entry(part).Dtype == SafetensorsDtype.I8)
        {
            var plain = files.TakeBytes(part, SafetensorsDtype.I8, -1);
            if (plain.Length != zeros.Length && plain.Length != 1)
                throw StoredMatrix.Damaged(files, part, $"it has {plain.Length} zero points, config.json needs [{rows}, {groups}]");
            for (var i = 0; i < zeros.Length; i++) zeros[i] = (byte)((sbyte)plain[plain.Length == 1 ? 0 : i] + half);
        }
        else
        {
            var packed = new PackedCodes(StoredMatrix.Words(files, part, PackedCodes.Words(rows, bits), groups), bits, groups);
            for (long row = 0; row < rows; row++)
                for (var group = 0; group < groups; group++) zeros[row * groups + group] = (byte)packed[group, row];
        }
        return zeros;
    }

    private static void RequireSides(WeightFiles files, string name, long rows, long columns)
    {
        var shape = MemoryMarshal.Cast<byte, long>(files.TakeBytes(name, SafetensorsDtype.I64, 2));
        if (shape[0] != rows || shape[1] != columns)
            throw StoredMatrix.Damaged(files, name, $"it says [{shape[0]}, {shape[1]}], config.json needs [{rows}, {columns}]");
    }
}
