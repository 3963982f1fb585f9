namespace Trainer.Engine.Fast;

/// <summary>One batch as the kernels need it: rotary tables, positions, and the rows that carry loss.</summary>
internal sealed unsafe class FastBatch
{
    private readonly float*[] _cos;
    private readonly float*[] _sin;

    /// <summary>Fills the batch's tables.</summary>
    /// <param name="memory">The memory of the pass.</param>
    /// <param name="config">The model.</param>
    /// <param name="batch">The tokens.</param>
    /// <param name="lossRows">Rows whose loss is wanted: all that carry one, or none.</param>
    public FastBatch(PassMemory memory, ModelConfig config, TokenBatch batch, int lossRows)
    {
        Batch = batch;
        FirstPosition = batch.Positions.Min();
        LossCount = lossRows;
        Positions = memory.At<int>(BufferId.Positions);
        LossRows = memory.At<int>(BufferId.LossRows);
        LossTargets = memory.At<int>(BufferId.LossTargets);
        LossFactors = memory.Floats(BufferId.LossFactors);
        Losses = memory.At<double>(BufferId.Losses);
        _cos = new float*[config.Ropes.Count];
        _sin = new float*[config.Ropes.Count];
        for (var r = 0; r < config.Ropes.Count; r++)
        {
            _cos[r] = memory.Floats(BufferId.Cos, r);
            _sin[r] = memory.Floats(BufferId.Sin, r);
        }
        for (var t = 0; t < batch.Length; t++) Positions[t] = batch.Positions[t] - FirstPosition;
        FillTables(config, batch.Positions.Max() + 1 - FirstPosition);
        if (lossRows > 0) FillLossRows();
    }

    public TokenBatch Batch { get; }

    public int Tokens => Batch.Length;

    /// <summary>Lowest position, the tables' first row: 0, or the number of tokens that came before.</summary>
    public int FirstPosition { get; }

    /// <summary>Each token's row in the tables.</summary>
    public int* Positions { get; }

    /// <summary>How many rows carry loss.</summary>
    public int LossCount { get; }

    /// <summary>The rows that carry loss, ascending.</summary>
    public int* LossRows { get; }

    public int* LossTargets { get; }

    /// <summary>Segment weight of each loss row; times the loss scale during a backward pass.</summary>
    public float* LossFactors { get; }

    /// <summary>Unweighted loss of each loss row.</summary>
    public double* Losses { get; }

    public float* Cos(int rope) => _cos[rope];

    public float* Sin(int rope) => _sin[rope];

    private void FillTables(ModelConfig config, int rows)
    {
        for (var r = 0; r < config.Ropes.Count; r++)
        {
            var (frequencies, multiplier) = RopeTable.Make(config.Ropes[r], Math.Max(FirstPosition + rows, Batch.TextLength));
            for (var row = 0; row < rows; row++)
            {
                for (var i = 0; i < frequencies.Length; i++)
                {
                    // The product is rounded to float32 first: transformers computes angles in that type.
                    var (sin, cos) = Math.SinCos((FirstPosition + row) * frequencies[i]);
                    _cos[r][row * frequencies.Length + i] = (float)((float)cos * multiplier);
                    _sin[r][row * frequencies.Length + i] = (float)((float)sin * multiplier);
                }
            }
        }
    }

    private void FillLossRows()
    {
        var segment = 0;
        var at = 0;
        for (var t = 0; t < Batch.Length; t++)
        {
            while (t >= Batch.SegmentStarts[segment + 1]) segment++;
            if (Batch.Targets[t] == TokenBatch.IgnoredTarget) continue;
            LossRows[at] = t;
            LossTargets[at] = Batch.Targets[t];
            LossFactors[at] = Batch.SegmentWeights[segment];
            at++;
        }
    }
}
