using System.Buffers;
using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Native;
using Trainer.Engine.Rope;
using Trainer.Models.Config;

namespace Trainer.Engine.Fast;

/// <summary>One batch as the kernels need it: rotary tables, positions, and the rows that carry loss.</summary>
internal sealed class FastBatch
{
    // Angles whose sines take some ten microseconds.
    private const int TableGrain = 512;

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
        var (rows, ofToken) = TableRows(batch);
        kernels.Upload<int>(ofToken, Positions);
        for (var rope = 0; rope < config.Ropes.Count; rope++) FillTables(config.Ropes[rope], rope, rows);
        if (new FastShape(config).Temperature is { } temperature)
            kernels.Upload<float>([.. batch.Positions.Select(temperature.At)], Temperatures);
        _lossRows = memory.Layout.LossRows > 0 ? [.. Enumerable.Range(0, batch.Length).Where(t => batch.Targets[t] != TokenBatch.IgnoredTarget)] : [];
        Factors = new float[_lossRows.Length];
        Losses = new double[_lossRows.Length];
        if (_lossRows.Length > 0) FillLossRows();
    }

    public TokenBatch Batch { get; }

    public int Tokens => Batch.Length;

    /// <summary>First token of each segment, and the number of tokens.</summary>
    public int[] Starts => Batch.SegmentStarts;

    /// <summary>Each token's row in the tables.</summary>
    public Place Positions => _memory.At(ElementType.Int32, BufferId.Positions);

    /// <summary>Multiplier of each token's queries in layers where they grow with the position.</summary>
    public Place Temperatures => _memory.Floats(BufferId.Temperatures);

    /// <summary>How many rows carry loss.</summary>
    public int LossCount => _lossRows.Length;

    /// <summary>The rows that carry loss, ascending.</summary>
    public Place LossRows => _memory.At(ElementType.Int32, BufferId.LossRows);

    public Place LossTargets => _memory.At(ElementType.Int32, BufferId.LossTargets);

    /// <summary>Weight of each loss row, see <see cref="Factors"/>.</summary>
    public Place LossFactors => _memory.Floats(BufferId.LossFactors);

    /// <summary>Unweighted loss of each loss row, see <see cref="Losses"/>.</summary>
    public Place LossValues => _memory.At(_kernels.LossType, BufferId.Losses);

    /// <summary>Mean logit of each loss row, where the batch asks for it.</summary>
    public Place LogitMeans => Batch.LogitMeans is null ? default : _memory.At(_kernels.LossType, BufferId.LogitMeans);

    /// <summary>Weight of each loss row on the host: its segment's, unless it depends on the losses.</summary>
    public float[] Factors { get; private set; }

    /// <summary>Unweighted loss of each loss row on the host, once it was fetched.</summary>
    public double[] Losses { get; }

    public Place Cos(int rope) => _memory.Floats(BufferId.Cos, rope);

    public Place Sin(int rope) => _memory.Floats(BufferId.Sin, rope);

    /// <summary>Waits for the losses, and for what else is known with them.</summary>
    public void FetchLosses()
    {
        Fetch(LossValues, Losses);
        if (Batch.LogitMeans is not { } wanted) return;
        var means = new double[LossCount];
        Fetch(LogitMeans, means);
        for (var i = 0; i < means.Length; i++) wanted[_lossRows[i]] = (float)means[i];
    }

    private void Fetch(Place values, double[] target)
    {
        if (_kernels.LossType == ElementType.Float64)
        {
            _kernels.Download<double>(values, target);
            return;
        }
        var narrow = new float[target.Length];
        _kernels.Download<float>(values, narrow);
        for (var i = 0; i < narrow.Length; i++) target[i] = narrow[i];
    }

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

    // What each row of the tables stands for, and each token's row. Positions that lie side by side share rows; several texts stand far apart and each has a
    // length of its own.
    private static ((int Position, int Length)[] Rows, int[] OfToken) TableRows(TokenBatch batch)
    {
        if (batch.TextLengths.Length <= 1)
        {
            var (first, end) = (batch.Positions.Min(), batch.Positions.Max() + 1);
            var length = batch.TextLengths is [var whole] ? Math.Max(end, whole) : end;
            return ([.. Enumerable.Range(first, end - first).Select(position => (position, length))],
                [.. batch.Positions.Select(position => position - first)]);
        }
        var rows = new (int, int)[batch.Length];
        for (var s = 0; s < batch.TextLengths.Length; s++)
            for (var t = batch.SegmentStarts[s]; t < batch.SegmentStarts[s + 1]; t++) rows[t] = (batch.Positions[t], batch.TextLengths[s]);
        return (rows, [.. Enumerable.Range(0, batch.Length)]);
    }

    private void FillTables(RopeConfig config, int rope, (int Position, int Length)[] rows)
    {
        var (width, dependsOnLength) = (config.Dimensions / 2, RopeTable.DependsOnLength(config));
        var known = rows.Select(row => dependsOnLength ? row.Length : 0).Distinct()
            .ToDictionary(length => length, length => RopeTable.Make(config, dependsOnLength ? length : rows[0].Length));
        float[] cosines = ArrayPool<float>.Shared.Rent(rows.Length * width), sines = ArrayPool<float>.Shared.Rent(rows.Length * width);
        ComputeThreads.For(0, rows.Length, Math.Max(1, TableGrain / Math.Max(1, width)), (begin, end) =>
        {
            for (var row = (int)begin; row < end; row++)
            {
                var (frequencies, multiplier) = known[dependsOnLength ? rows[row].Length : 0];
                for (var i = 0; i < width; i++)
                {
                    // The product is rounded to float32 first: transformers computes angles in that type.
                    var (sin, cos) = Math.SinCos(rows[row].Position * frequencies[i]);
                    cosines[row * width + i] = (float)((float)cos * multiplier);
                    sines[row * width + i] = (float)((float)sin * multiplier);
                }
            }
        });
        _kernels.Upload<float>(cosines.AsSpan(0, rows.Length * width), Cos(rope));
        _kernels.Upload<float>(sines.AsSpan(0, rows.Length * width), Sin(rope));
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
