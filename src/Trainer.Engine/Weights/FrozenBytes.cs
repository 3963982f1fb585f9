using Trainer.Numerics.Nf4;

namespace Trainer.Engine.Weights;

/// <summary>Bytes of frozen matrices by their sizes, before they are loaded.</summary>
public static class FrozenBytes
{
    private const long Line = 64;

    /// <summary>Bytes of a matrix as it is held, <see cref="IFrozenWeight.ByteCount"/>.</summary>
    /// <param name="form">See <see cref="IFrozenWeight.Form"/>.</param>
    /// <param name="rows">Output features.</param>
    /// <param name="columns">Input features.</param>
    /// <param name="doubleQuantized">In 4 bits: the absmax values are quantized too.</param>
    /// <param name="isMapped">In 4 bits: it lies so in the model's folder, and is not quantized while loading.</param>
    public static long Of(WeightForm form, long rows, long columns, bool doubleQuantized, bool isMapped)
    {
        var count = rows * columns;
        return form switch
        {
            WeightForm.Float32 => count * sizeof(float),
            WeightForm.Nf4 when isMapped => Streamed(form, rows, columns, doubleQuantized)
                + (doubleQuantized ? Nf4Codebook.NestedBlocks(count) * sizeof(float) : 0),
            WeightForm.Nf4 when doubleQuantized => Lines(Nf4Codebook.PackedBytes(count)) + Lines(Nf4Codebook.Blocks(count))
                + Lines(Nf4Codebook.NestedBlocks(count) * sizeof(float)) + 256 * sizeof(float),
            WeightForm.Nf4 => Lines(Nf4Codebook.PackedBytes(count)) + Lines(Nf4Codebook.Blocks(count) * sizeof(float)),
            WeightForm.Int8 => rows * sizeof(float) + Line + count,
            _ => count * sizeof(ushort),
        };
    }

    /// <summary>Bytes of a matrix that are read for each visit of a streamed layer.</summary>
    /// <param name="form">See <see cref="IFrozenWeight.Form"/>.</param>
    /// <param name="rows">Output features.</param>
    /// <param name="columns">Input features.</param>
    /// <param name="doubleQuantized">In 4 bits: the absmax values are quantized too.</param>
    public static long Streamed(WeightForm form, long rows, long columns, bool doubleQuantized) => form == WeightForm.Nf4
        ? Nf4Codebook.PackedBytes(rows * columns) + Nf4Codebook.Blocks(rows * columns) * (doubleQuantized ? 1 : sizeof(float))
        : rows * columns * (form == WeightForm.Float32 ? sizeof(float) : sizeof(ushort));

    /// <summary>Bytes of a matrix on a device: 4-bit ones packed in whole blocks, dense ones in their stored type; other forms are sent at each use.</summary>
    /// <param name="form">See <see cref="IFrozenWeight.Form"/>.</param>
    /// <param name="rows">Output features.</param>
    /// <param name="columns">Input features.</param>
    /// <param name="doubleQuantized">In 4 bits: the absmax values are quantized too.</param>
    public static long OnDevice(WeightForm form, long rows, long columns, bool doubleQuantized) => form switch
    {
        WeightForm.Nf4 => Nf4Codebook.Blocks(rows * columns) * (Nf4Codebook.BlockSize / 2 + (doubleQuantized ? 1 : sizeof(float)))
            + NestedOnDevice(form, rows, columns, doubleQuantized),
        WeightForm.Float32 or WeightForm.BFloat16 or WeightForm.Float16 => Streamed(form, rows, columns, doubleQuantized),
        _ => 0,
    };

    /// <summary>What of a matrix stays on a device though its layer is streamed: nested scales and their table.</summary>
    /// <param name="form">See <see cref="IFrozenWeight.Form"/>.</param>
    /// <param name="rows">Output features.</param>
    /// <param name="columns">Input features.</param>
    /// <param name="doubleQuantized">In 4 bits: the absmax values are quantized too.</param>
    public static long NestedOnDevice(WeightForm form, long rows, long columns, bool doubleQuantized)
        => form == WeightForm.Nf4 && doubleQuantized ? (Nf4Codebook.NestedBlocks(rows * columns) + 256) * sizeof(float) : 0;

    /// <summary>Bytes of a streamed matrix in a room of a device: its parts begin at whole cache lines.</summary>
    /// <param name="form">See <see cref="IFrozenWeight.Form"/>.</param>
    /// <param name="rows">Output features.</param>
    /// <param name="columns">Input features.</param>
    /// <param name="doubleQuantized">In 4 bits: the absmax values are quantized too.</param>
    public static long InRoom(WeightForm form, long rows, long columns, bool doubleQuantized) => form == WeightForm.Nf4
        ? Lines(Nf4Codebook.PackedBytes(rows * columns)) + Lines(Nf4Codebook.Blocks(rows * columns) * (doubleQuantized ? 1 : sizeof(float)))
        : Lines(Streamed(form, rows, columns, doubleQuantized));

    private static long Lines(long bytes) => (bytes + Line - 1) / Line * Line;
}
