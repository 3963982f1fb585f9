namespace Trainer.Engine.Fast;

/// <summary>One batch as the kernels need it: rotary tables, positions, and the rows that carry loss.</summary>
internal sealed unsafe class FastBatch
{
    private readonly float*[] _cos;
    private readonly float*[] _sin;

    /// <summary>Cuts and fills the batch's tables; with a counting arena only counts.</summary>
    /// <param name="arena">Where from.</param>
    /// <param name="config">The model.</param>
    /// <param name="batch">The tokens.</param>
    public FastBatch(Arena arena, ModelConfig config, TokenBatch batch)
    {
        Batch = batch;
        FirstPosition = batch.Positions.Min();
        var rows = batch.Positions.Max() + 1 - FirstPosition;
        Positions = arena.Ints(batch.Length);
        _cos = new float*[config.Ropes.Count];
        _sin = new float*[config.Ropes.Count];
        for (var r = 0; r < config.Ropes.Count; r++)
        {
            var half = config.Ropes[r].Dimensions / 2;
            _cos[r] = arena.Floats((long)rows * half);
            _sin[r] = arena.Floats((long)rows * half);
        }
        LossCount = batch.TrainedTokens;
        LossRows = arena.Ints(LossCount);
        LossTargets = arena.Ints(LossCount);
        LossFactors = arena.Floats(LossCount);
        Losses = arena.Doubles(LossCount);
        if (Positions == null) return;
        for (var t = 0; t < batch.Length; t++) Positions[t] = batch.Positions[t] - FirstPosition;
        FillTables(config, rows);
        FillLossRows();
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
