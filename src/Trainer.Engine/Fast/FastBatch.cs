using System.Buffers;

namespace Trainer.Engine.Fast;

/// <summary>One batch as the kernels need it: rotary tables, positions, and the rows that carry loss.</summary>
internal sealed class FastBatch
{
    private readonly IKernels _kernels;
    private readonly PassMemory _memory;
    private readonly int[] _lossRows;

    /// <summary>Fills the batch's tables.</summary>
    /// <param name="kernels">What computes.</param>
    /// <param name="memory">The memory of the pass; its layout tells whether losses are wanted.</param>
    /// <param name="config">The model.</param>
    /// <param name="batch">The tokens.</param>
    public FastBatch(IKernels kernels, PassMemory memory, ModelConfig config, TokenBatch batch)
    {
        (_kernels, _memory, Batch) = (kernels, memory, batch);
        FirstPosition = batch.Positions.Min();
        kernels.Upload<int>([.. batch.Positions.Select(position => position - FirstPosition)], Positions);
        for (var rope = 0; rope < config.Ropes.Count; rope++) FillTables(config.Ropes[rope], rope, batch.Positions.Max() + 1 - FirstPosition);
        _lossRows = memory.Layout.LossRows > 0 ? [.. Enumerable.Range(0, batch.Length).Where(t => batch.Targets[t] != TokenBatch.IgnoredTarget)] : [];
        Factors = new float[_lossRows.Length];
        Losses = new double[_lossRows.Length];
        if (_lossRows.Length > 0) FillLossRows();
    }

    public TokenBatch Batch { get; }

    public int Tokens => Batch.Length;

    /// <summary>First token of each segment, and the number of tokens.</summary>
    public int[] Starts => Batch.SegmentStarts;

    /// <summary>Lowest position, the tables' first row: 0, or the number of tokens that came before.</summary>
    public int FirstPosition { get; }

    /// <summary>Each token's row in the tables.</summary>
    public Place Positions => _memory.At(ElementType.Int32, BufferId.Positions);

    /// <summary>How many rows carry loss.</summary>
    public int LossCount => _lossRows.Length;

    /// <summary>The rows that carry loss, ascending.</summary>
    public Place LossRows => _memory.At(ElementType.Int32, BufferId.LossRows);

    public Place LossTargets => _memory.At(ElementType.Int32, BufferId.LossTargets);

    /// <summary>Weight of each loss row, see <see cref="Factors"/>.</summary>
    public Place LossFactors => _memory.Floats(BufferId.LossFactors);

    /// <summary>Unweighted loss of each loss row, see <see cref="Losses"/>.</summary>
    public Place LossValues => _memory.At(ElementType.Float64, BufferId.Losses);

    /// <summary>Weight of each loss row on the host: its segment's, unless it depends on the losses.</summary>
    public float[] Factors { get; private set; }

    /// <summary>Unweighted loss of each loss row on the host, once it was fetched.</summary>
    public double[] Losses { get; }

    public Place Cos(int rope) => _memory.Floats(BufferId.Cos, rope);

    public Place Sin(int rope) => _memory.Floats(BufferId.Sin, rope);

    /// <summary>Waits for the losses.</summary>
    public void FetchLosses() => _kernels.Download<double>(LossValues, Losses);

    /// <summary>Losses in the place of their tokens.</summary>
    public void CopyLosses(Span<float> losses)
    {
        for (var i = 0; i < LossCount; i++) losses[_lossRows[i]] = (float)Losses[i];
    }

    /// <summary>Replaces the weight of each loss row by that of its token.</summary>
    public void Weigh(float[] weights)
    {
        Factors = [.. _lossRows.Select(row => weights[row])];
        _kernels.Upload<float>(Factors, LossFactors);
    }

    private void FillTables(RopeConfig config, int rope, int rows)
    {
        var (frequencies, multiplier) = RopeTable.Make(config, Math.Max(FirstPosition + rows, Batch.TextLength));
        var width = frequencies.Length;
        float[] cosines = ArrayPool<float>.Shared.Rent(rows * width), sines = ArrayPool<float>.Shared.Rent(rows * width);
        for (var row = 0; row < rows; row++)
        {
            for (var i = 0; i < width; i++)
            {
                // The product is rounded to float32 first: transformers computes angles in that type.
                var (sin, cos) = Math.SinCos((FirstPosition + row) * frequencies[i]);
                cosines[row * width + i] = (float)((float)cos * multiplier);
                sines[row * width + i] = (float)((float)sin * multiplier);
            }
        }
        _kernels.Upload<float>(cosines.AsSpan(0, rows * width), Cos(rope));
        _kernels.Upload<float>(sines.AsSpan(0, rows * width), Sin(rope));
        ArrayPool<float>.Shared.Return(cosines);
        ArrayPool<float>.Shared.Return(sines);
    }

    private void FillLossRows()
    {
        var segment = 0;
        for (var i = 0; i < LossCount; i++)
        {
            while (_lossRows[i] >= Starts[segment + 1]) segment++;
            Factors[i] = Batch.SegmentWeights[segment];
        }
        _kernels.Upload<int>(_lossRows, LossRows);
        _kernels.Upload<int>([.. _lossRows.Select(row => Batch.Targets[row])], LossTargets);
        _kernels.Upload<float>(Factors, LossFactors);
    }
}
