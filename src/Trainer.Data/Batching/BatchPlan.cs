using Trainer.Data.Batching;

namespace Trainer.Data;

/// <summary>
/// Which rows each micro-batch and each optimizer step takes: a pure function of (seed, epoch, index), so a run resumes at any step
/// without reading what came before, and any number of ranks sees the same steps. Steps never cross an epoch's end: the last micro-batch
/// of an epoch may have fewer rows and its last step fewer micro-batches; both are kept, every row is taken.
/// </summary>
public sealed class BatchPlan
{
    // Rows sorted by length together: enough that neighbours are near in length, few enough that batches differ from epoch to epoch.
    private const int SortWindow = 4096;
    private const int PackWindow = 65536;

    private readonly int[] _lengths;
    private readonly IReadOnlyList<SourceRange> _sources;
    private readonly List<long> _stepsBefore = [0];
    private readonly Lock _lock = new();
    private (int Epoch, EpochLayout Layout)? _latest;

    /// <summary>Plans over a set of examples.</summary>
    public BatchPlan(ExampleSet set, BatchPlanOptions options) : this(set.Lengths, set.Sources, options) { }

    internal BatchPlan(int[] lengths, IReadOnlyList<SourceRange> sources, BatchPlanOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.BatchSize, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MicroBatchesPerStep, 1);
        (_lengths, _sources, Options) = (lengths, sources, options);
        RowsPerEpoch = 0;
        foreach (var source in sources) RowsPerEpoch += (int)(source.Weight * source.Count + 0.5);
        if (RowsPerEpoch == 0) throw new ArgumentException("no rows to plan over");
    }

    /// <summary>How rows become batches.</summary>
    public BatchPlanOptions Options { get; }

    /// <summary>Rows an epoch takes, repeats of weighted sources counted.</summary>
    public int RowsPerEpoch { get; }

    /// <summary>Micro-batches of an epoch (the same for every epoch unless rows are packed).</summary>
    public int MicroBatches(int epoch) =>
        Options.Packing ? Layout(epoch).MicroBatches : (RowsPerEpoch + Options.BatchSize - 1) / Options.BatchSize;

    /// <summary>Optimizer steps of an epoch.</summary>
    public int Steps(int epoch) => (MicroBatches(epoch) + Options.MicroBatchesPerStep - 1) / Options.MicroBatchesPerStep;

    /// <summary>Optimizer steps of so many epochs; a part of an epoch is rounded up to whole steps.</summary>
    public long TotalSteps(double epochs)
    {
        var whole = (int)Math.Floor(epochs);
        var part = epochs - whole;
        return StepsBefore(whole) + (part > 1e-9 ? (long)Math.Ceiling(Steps(whole) * part - 1e-9) : 0);
    }

    /// <summary>The epoch a step (from 0) lies in, and its place there.</summary>
    public (int Epoch, int StepInEpoch) Locate(long step)
    {
        if (!Options.Packing) return ((int)(step / Steps(0)), (int)(step % Steps(0)));
        var epoch = 0;
        while (StepsBefore(epoch + 1) <= step) epoch++;
        return (epoch, (int)(step - StepsBefore(epoch)));
    }

    /// <summary>Epochs done when a step count is reached, as logs show it.</summary>
    public double EpochAt(long stepsDone)
    {
        var (epoch, within) = Locate(stepsDone);
        return epoch + (double)within / Steps(epoch);
    }

    /// <summary>The row numbers of every micro-batch of an optimizer step (from 0). Every rank knows them all; which of them it computes is the step's rule.</summary>
    public IReadOnlyList<int[]> Step(long step)
    {
        var (epoch, within) = Locate(step);
        var layout = Layout(epoch);
        var from = within * Options.MicroBatchesPerStep;
        var to = Math.Min(from + Options.MicroBatchesPerStep, layout.MicroBatches);
        var batches = new int[to - from][];
        for (var i = 0; i < batches.Length; i++) batches[i] = layout.MicroBatch(from + i);
        return batches;
    }

    /// <summary>The row numbers of micro-batch <paramref name="index"/> of an epoch.</summary>
    public int[] MicroBatch(int epoch, int index) => Layout(epoch).MicroBatch(index);

    /// <summary>Share of tokens that padding each micro-batch to its longest row would add; this layout has no padding, but equal lengths keep kernels full.</summary>
    public double PaddingShare(int epoch) => Layout(epoch).PaddingShare;

    /// <summary>Share of the bins' capacity that holds tokens; 0 without packing.</summary>
    public double PackingEfficiency(int epoch) => Layout(epoch).PackingEfficiency;

    private long StepsBefore(int epoch)
    {
        if (!Options.Packing) return (long)epoch * Steps(0);
        while (true)
        {
            int next;
            lock (_lock)
            {
                if (_stepsBefore.Count > epoch) return _stepsBefore[epoch];
                next = _stepsBefore.Count;
            }
            var total = _stepsBefore[next - 1] + Steps(next - 1);
            lock (_lock)
            {
                if (_stepsBefore.Count == next) _stepsBefore.Add(total);
            }
        }
    }

    private EpochLayout Layout(int epoch)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(epoch);
        lock (_lock)
        {
            if (_latest is { } latest && latest.Epoch == epoch) return latest.Layout;
            var layout = Build(epoch);
            _latest = (epoch, layout);
            return layout;
        }
    }

    private EpochLayout Build(int epoch)
    {
        var rows = RowsOf(epoch);
        if (Options.Shuffle) SeededOrder.Shuffle(rows.AsSpan(), SeededOrder.State(Options.Seed, epoch, 0));
        var bins = 0;
        var batches = Options.Packing ? Packed(rows, epoch, out bins) : Options.Shuffle && Options.GroupByLength && Options.BatchSize > 1 ? Grouped(rows, epoch) : Consecutive(rows);
        var starts = new int[batches.Count + 1];
        var flat = new int[rows.Length];
        long tokens = 0, padded = 0;
        var at = 0;
        for (var b = 0; b < batches.Count; b++)
        {
            batches[b].Span.CopyTo(flat.AsSpan(at));
            at += batches[b].Length;
            starts[b + 1] = at;
            var longest = 0;
            foreach (var row in batches[b].Span)
            {
                tokens += _lengths[row];
                longest = Math.Max(longest, _lengths[row]);
            }
            padded += (long)longest * batches[b].Length;
        }
        var capacity = (double)bins * Options.MaxSeqLength;
        return Options.Packing
            ? new EpochLayout(flat, starts, 0, tokens / capacity)
            : new EpochLayout(flat, starts, padded == 0 ? 0 : 1 - (double)tokens / padded, 0);
    }

    /// <summary>Every source's rows as often as its weight says; the fraction left takes other rows each epoch until all had their turn.</summary>
    private int[] RowsOf(int epoch)
    {
        var rows = new int[RowsPerEpoch];
        var at = 0;
        foreach (var (start, count, weight) in _sources)
        {
            var take = (int)(weight * count + 0.5);
            for (; take >= count && count > 0; take -= count)
                for (var i = 0; i < count; i++) rows[at++] = start + i;
            if (take == 0) continue;
            var from = (long)epoch * take;
            var picked = new int[take];
            if (Options.Shuffle)
            {
                var order = SeededOrder.Permutation(count, SeededOrder.State(Options.Seed, start, 1));
                for (var i = 0; i < take; i++) picked[i] = order[(int)((from + i) % count)];
            }
            else
                for (var i = 0; i < take; i++) picked[i] = (int)((from + i) % count);
            foreach (var row in picked) rows[at++] = start + row;
        }
        return rows;
    }

    private List<ReadOnlyMemory<int>> Consecutive(int[] rows)
    {
        var batches = new List<ReadOnlyMemory<int>>();
        for (var i = 0; i < rows.Length; i += Options.BatchSize) batches.Add(rows.AsMemory(i, Math.Min(Options.BatchSize, rows.Length - i)));
        return batches;
    }

    /// <summary>Windows of the shuffled rows sorted by length and cut into batches, the batches shuffled; a last partial batch stays last.</summary>
    private List<ReadOnlyMemory<int>> Grouped(int[] rows, int epoch)
    {
        var window = Math.Min(Math.Max(SortWindow, 64 * Options.BatchSize), 1 << 20) / Options.BatchSize * Options.BatchSize;
        for (var i = 0; i < rows.Length; i += window)
        {
            var part = rows.AsSpan(i, Math.Min(window, rows.Length - i));
            // A jitter of up to a thirty-second of the length: with exact lengths the same rows would meet in every epoch.
            var jitter = SeededOrder.State(Options.Seed, epoch, 4);
            var keys = new long[part.Length];
            for (var k = 0; k < keys.Length; k++)
            {
                long length = _lengths[part[k]];
                keys[k] = ((length * 32 + (long)(SeededOrder.At(jitter, part[k]) % (ulong)(length + 1))) << 20) | (uint)k; // a window has fewer than 2^20 rows
            }
            var sorted = part.ToArray();
            keys.AsSpan().Sort(sorted.AsSpan());
            sorted.CopyTo(part);
        }
        var batches = Consecutive(rows);
        var whole = rows.Length % Options.BatchSize == 0 ? batches.Count : batches.Count - 1;
        SeededOrder.Shuffle(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(batches)[..whole], SeededOrder.State(Options.Seed, epoch, 2));
        return batches;
    }

    private List<ReadOnlyMemory<int>> Packed(int[] rows, int epoch, out int count)
    {
        var bins = new List<int[]>();
        for (var i = 0; i < rows.Length; i += PackWindow)
            bins.AddRange(Packer.Pack(rows.AsSpan(i, Math.Min(PackWindow, rows.Length - i)), _lengths, Options.MaxSeqLength));
        if (Options.Shuffle) SeededOrder.Shuffle(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(bins), SeededOrder.State(Options.Seed, epoch, 2));
        count = bins.Count;
        var batches = new List<ReadOnlyMemory<int>>();
        for (var i = 0; i < bins.Count; i += Options.BatchSize)
            batches.Add(bins.GetRange(i, Math.Min(Options.BatchSize, bins.Count - i)).SelectMany(bin => bin).ToArray());
        return batches;
    }
}
