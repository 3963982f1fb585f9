namespace Trainer.Data.Batching;

/// <summary>
/// Which rows each micro-batch and each optimizer step takes: a pure function of (seed, epoch, index), so a run resumes at any step
/// without reading what came before, and any number of ranks sees the same steps. Steps never cross an epoch's end: the last micro-batch
/// of an epoch may have fewer rows and its last step fewer micro-batches; both are kept, every row is taken. A source whose weight asks for a
/// part of a row carries it on: after any number of epochs it was taken as often as its weight says, to half a row.
/// </summary>
public sealed class BatchPlan
{
    // Rows sorted by length together: enough that neighbours are near in length, few enough that batches differ from epoch to epoch.
    private const int SortWindow = 4096;
    private const int PackWindow = 65536;
    private const int MostRows = 1 << 28;

    private readonly int[] _lengths;
    private readonly IReadOnlyList<SourceRange> _sources;
    private readonly List<long> _stepsBefore = [0];
    private readonly Lock _lock = new();
    private readonly bool _isEven;
    private (int Epoch, EpochLayout Layout)? _latest;

    /// <summary>Plans over a set of examples.</summary>
    public BatchPlan(ExampleSet set, BatchPlanOptions options) : this(set.Lengths, set.Sources, options) { }

    internal BatchPlan(int[] lengths, IReadOnlyList<SourceRange> sources, BatchPlanOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.BatchSize, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MicroBatchesPerStep, 1);
        (_lengths, _sources, Options) = (lengths, sources, options);
        var rows = sources.Sum(source => source.Weight * source.Count);
        if (rows <= MostRows && Rows(0) == 0)
            throw new DataException("the weights of the data sources "
                + $"take {rows.ToString("0.###", System.Globalization.CultureInfo.InvariantCulture)} rows an epoch, less than one in the first; raise them");
        if (rows > MostRows)
            throw new DataException("the weights of the data sources "
                + $"take {rows.ToString("0.#e0", System.Globalization.CultureInfo.InvariantCulture)} rows an epoch, more than the {MostRows} an epoch may "
                + "have; lower them");
        _isEven = sources.All(source => source.Weight * source.Count % 1 == 0);
    }

    /// <summary>How rows become batches.</summary>
    public BatchPlanOptions Options { get; }

    /// <summary>Rows an epoch takes, repeats of weighted sources counted.</summary>
    public int Rows(int epoch) => (int)_sources.Sum(source => Taken(source, epoch + 1) - Taken(source, epoch));

    /// <summary>Micro-batches of an epoch.</summary>
    public int MicroBatches(int epoch) =>
        Options.Packing ? Layout(epoch).MicroBatches : (Rows(epoch) + Options.BatchSize - 1) / Options.BatchSize;

    /// <summary>Optimizer steps of an epoch; none where small weights leave it without rows.</summary>
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
        if (IsRegular) return ((int)(step / Steps(0)), (int)(step % Steps(0)));
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

    /// <summary>The row numbers of every micro-batch of an optimizer step (from 0). Every rank knows them all; which of them it computes is the step's
    /// rule.</summary>
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

    /// <summary>Tokens of each micro-batch of an epoch.</summary>
    public int[] TokensOf(int epoch)
    {
        var layout = Layout(epoch);
        var tokens = new int[layout.MicroBatches];
        for (var b = 0; b < tokens.Length; b++)
            foreach (var row in layout.Span(b)) tokens[b] += _lengths[row];
        return tokens;
    }

    /// <summary>Share of tokens that padding each micro-batch to its longest row would add; this layout has no padding, but equal lengths keep kernels
    /// full.</summary>
    public double PaddingShare(int epoch) => Layout(epoch).PaddingShare;

    /// <summary>Share of the bins' capacity that holds tokens; 0 without packing.</summary>
    public double PackingEfficiency(int epoch) => Layout(epoch).PackingEfficiency;

    /// <summary>Whether every epoch has the same number of steps.</summary>
    private bool IsRegular => _isEven && !Options.Packing;

    /// <summary>Rows that a source has given before an epoch begins.</summary>
    private static long Taken(SourceRange source, long epoch) => (long)(source.Weight * source.Count * epoch + 0.5);

    private long StepsBefore(int epoch)
    {
        if (IsRegular) return (long)epoch * Steps(0);
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
        var layout = Options.Packing ? Packed(rows, epoch)
            : new EpochLayout(rows, Options.BatchSize, Options.Shuffle && Options.GroupByLength && Options.BatchSize > 1 ? Grouped(rows, epoch) : null);
        long tokens = 0, padded = 0;
        for (var b = 0; b < layout.MicroBatches; b++)
        {
            var longest = 0;
            var batch = layout.Span(b);
            foreach (var row in batch)
            {
                tokens += _lengths[row];
                longest = Math.Max(longest, _lengths[row]);
            }
            padded += (long)longest * batch.Length;
        }
        var capacity = (double)layout.Bins * Options.MaxSeqLength;
        return Options.Packing ? layout with { PackingEfficiency = tokens / capacity }
            : layout with { PaddingShare = padded == 0 ? 0 : 1 - (double)tokens / padded };
    }

    /// <summary>Each source's rows in turn as often as its weight says; where its share is no whole number, the turn goes on in the next epoch.</summary>
    private int[] RowsOf(int epoch)
    {
        var rows = new int[Rows(epoch)];
        var at = 0;
        foreach (var source in _sources)
        {
            var (start, count) = (source.Start, source.Count);
            var (from, take) = (Taken(source, epoch), (int)(Taken(source, epoch + 1) - Taken(source, epoch)));
            for (; take >= count && count > 0; take -= count)
                for (var i = 0; i < count; i++) rows[at++] = start + i;
            if (take == 0) continue;
            var order = Options.Shuffle ? SeededOrder.Permutation(count, SeededOrder.State(Options.Seed, start, 1)) : null;
            for (var i = 0; i < take; i++)
            {
                var place = (int)((from + i) % count);
                rows[at++] = start + (order is null ? place : order[place]);
            }
        }
        return rows;
    }

    /// <summary>Windows of the shuffled rows sorted by length; the order of the batches cut from them, a last partial one staying last.</summary>
    private int[] Grouped(int[] rows, int epoch)
    {
        var window = Math.Min(Math.Max(SortWindow, 64 * Options.BatchSize), 1 << 20) / Options.BatchSize * Options.BatchSize;
        // A jitter of up to a thirty-second of the length: with exact lengths the same rows would meet in every epoch.
        var jitter = SeededOrder.State(Options.Seed, epoch, 4);
        var keys = new long[Math.Min(window, rows.Length)];
        for (var i = 0; i < rows.Length; i += window)
        {
            var part = rows.AsSpan(i, Math.Min(window, rows.Length - i));
            for (var k = 0; k < part.Length; k++)
            {
                long length = _lengths[part[k]];
                keys[k] = ((length * 32 + (long)(SeededOrder.At(jitter, part[k]) % (ulong)(length + 1))) << 20) | (uint)k; // a window has fewer than 2^20 rows
            }
            keys.AsSpan(0, part.Length).Sort(part);
        }
        var order = new int[(rows.Length + Options.BatchSize - 1) / Options.BatchSize];
        for (var b = 0; b < order.Length; b++) order[b] = b;
        SeededOrder.Shuffle(order.AsSpan(0, rows.Length / Options.BatchSize), SeededOrder.State(Options.Seed, epoch, 2));
        return order;
    }

    private EpochLayout Packed(int[] rows, int epoch)
    {
        var bins = new List<int[]>();
        for (var i = 0; i < rows.Length; i += PackWindow)
            bins.AddRange(Packer.Pack(rows.AsSpan(i, Math.Min(PackWindow, rows.Length - i)), _lengths, Options.MaxSeqLength));
        if (Options.Shuffle) SeededOrder.Shuffle(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(bins), SeededOrder.State(Options.Seed, epoch, 2));
        var starts = new List<int> { 0 };
        var at = 0;
        for (var b = 0; b < bins.Count; b++)
        {
            bins[b].CopyTo(rows, at);
            at += bins[b].Length;
            if ((b + 1) % Options.BatchSize == 0 || b + 1 == bins.Count) starts.Add(at);
        }
        return new EpochLayout(rows, Options.BatchSize, null) { Starts = [.. starts], Bins = bins.Count };
    }
}
