using TorchSharp;

namespace Trainer.Engine.Weights;

/// <summary>A matrix that is never trained, in whatever form it is held, which can be written out as float32.</summary>
public interface IFrozenWeight : IDisposable
{
    /// <summary>Output features.</summary>
    long Rows { get; }

    /// <summary>Input features.</summary>
    long Columns { get; }

    /// <summary>How it is held; of one made of parts, how those are.</summary>
    WeightForm Form { get; }

    /// <summary>The weights that it is made of; empty where it stands alone.</summary>
    IReadOnlyList<IFrozenWeight> Parts => [];

    /// <summary>Bytes it occupies, mapped pages included.</summary>
    long ByteCount { get; }

    /// <summary>The whole matrix as a float32 tensor [rows, columns] where that needs no conversion, else null. Owned by the weight.</summary>
    torch.Tensor? Resident { get; }

    /// <summary>Writes rows as float32, row-major.</summary>
    /// <param name="rowBegin">First row.</param>
    /// <param name="rowCount">Number of rows.</param>
    /// <param name="destination">Room for rowCount x columns floats.</param>
    unsafe void Materialize(long rowBegin, long rowCount, float* destination);

    /// <summary>Writes rows as bfloat16 bits, row-major, rounded to nearest even from the float32 value.</summary>
    /// <param name="rowBegin">First row.</param>
    /// <param name="rowCount">Number of rows.</param>
    /// <param name="destination">Room for rowCount x columns values.</param>
    unsafe void MaterializeBFloat16(long rowBegin, long rowCount, ushort* destination);

    /// <summary>Writes part of one row as float32, on the calling thread alone.</summary>
    /// <param name="row">The row.</param>
    /// <param name="columnBegin">First column.</param>
    /// <param name="columnCount">Number of columns.</param>
    /// <param name="destination">Room for columnCount floats.</param>
    unsafe void Read(long row, long columnBegin, long columnCount, float* destination);

    /// <summary>Asks the processor's cache for what <see cref="Read"/> will need; changes nothing.</summary>
    /// <param name="row">The row.</param>
    /// <param name="columnBegin">First column.</param>
    /// <param name="columnCount">Number of columns.</param>
    void Prefetch(long row, long columnBegin, long columnCount)
    {
    }

    /// <summary>Writes rows as float32, row-major.</summary>
    /// <param name="rowBegin">First row.</param>
    /// <param name="rowCount">Number of rows.</param>
    /// <param name="destination">rowCount x columns floats.</param>
    unsafe void Materialize(long rowBegin, long rowCount, Span<float> destination)
    {
        if (destination.Length != rowCount * Columns) throw new ArgumentException($"{destination.Length} floats for {rowCount} rows of {Columns}");
        fixed (float* first = destination) Materialize(rowBegin, rowCount, first);
    }
}
