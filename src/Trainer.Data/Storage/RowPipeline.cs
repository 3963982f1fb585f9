using Trainer.Data.Reading;
using Trainer.Data.Rows;

namespace Trainer.Data.Storage;

/// <summary>
/// Files to outcomes in file order: one thread reads, all cores parse and tokenize a batch of rows at a time, outcomes come back in order,
/// so the result does not depend on the number of threads and memory holds one batch.
/// </summary>
internal sealed class RowPipeline(RowEncoder encoder, Limits limits, IProgress<DataProgress>? progress, CancellationToken cancellation)
{
    private const int BatchRows = 256;
    private const long BatchBytes = 1 << 20;

    /// <summary>Hands every outcome to <paramref name="take"/>, with the file's number.</summary>
    public void Run(InputGroup group, StatisticsBuilder statistics, Action<int, RowOutcome> take)
    {
        long before = 0;
        var total = group.Files.Sum(file => new FileInfo(file.Path).Length);
        for (var f = 0; f < group.Files.Count; f++)
        {
            var entry = group.Files[f];
            using var input = InputFile.Open(entry.Path);
            RowKind? kind = null;
            var kindFrom = default(RowSource);
            long rows = 0;
            foreach (var batch in Batches(RowReader.Read(input, limits, entry.Rows)))
            {
                cancellation.ThrowIfCancellationRequested();
                foreach (var outcome in EncodeAll(batch, entry.Columns))
                {
                    var each = outcome;
                    if (kind is null && each.Kind is not null) (kind, kindFrom) = (each.Kind, each.Source);
                    else if (each.Kind is not null && each.Kind != kind && each.Fault is null)
                        each = each with
                        {
                            Parts = [],
                            Fault = new RowFault(each.Source, 0, FaultKind.Malformed,
                                $"the row is of kind {Word(each.Kind.Value)}, and the file's rows are of kind {Word(kind!.Value)} since line {kindFrom.Line}",
                                "put each kind in a file of its own"),
                        };
                    rows++;
                    take(f, each);
                }
                progress?.Report(new DataProgress(entry.Path, before + input.BytesRead, total, statistics.Rows, statistics.Tokens));
            }
            if (rows == 0) throw Empty(entry);
            var size = new FileInfo(entry.Path).Length;
            before += size;
            statistics.File(new FileStatistics(entry.Path, group.Hashes[f], size, kind is null ? "none" : Word(kind.Value), rows));
        }
    }

    private RowOutcome[] EncodeAll(List<RawRow> batch, IReadOnlyDictionary<string, string>? columns)
    {
        var outcomes = new RowOutcome[batch.Count];
        try
        {
            Parallel.For(0, batch.Count, new ParallelOptions { CancellationToken = cancellation }, i => outcomes[i] = encoder.Encode(batch[i], columns));
        }
        catch (AggregateException faults)
        {
            // The first row's fault, whichever thread met its own first.
            throw faults.InnerExceptions.OfType<DataException>().MinBy(fault => fault.Message, StringComparer.Ordinal) ?? faults.InnerExceptions[0];
        }
        return outcomes;
    }

    private static IEnumerable<List<RawRow>> Batches(IEnumerable<RawRow> rows)
    {
        var batch = new List<RawRow>();
        long bytes = 0;
        foreach (var row in rows)
        {
            batch.Add(row);
            bytes += row.Json.Length + 2L * (row.Document?.Length ?? 0);
            if (batch.Count < BatchRows && bytes < BatchBytes) continue;
            yield return batch;
            (batch, bytes) = ([], 0);
        }
        if (batch.Count > 0) yield return batch;
    }

    private static string Word(RowKind kind) => kind.ToString().ToLowerInvariant();

    /// <summary>A file without a row.</summary>
    public static DataException Empty(InputEntry entry) => new($"data file is empty ({entry.Path}): it holds no rows; name a file with rows");
}
