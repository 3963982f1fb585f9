using Trainer.Data.Reading;
using Trainer.Data.Rows;

namespace Trainer.Data.Storage;

/// <summary>Looks at data without making a store: for <c>data check</c> and <c>data show</c>.</summary>
internal sealed class Inspection(DataOptions options, TextTools tools, IProgress<DataProgress>? progress, CancellationToken cancellation)
{
    public DataReport Check(IReadOnlyList<InputEntry> files)
    {
        var statistics = new StatisticsBuilder();
        var faults = new List<RowFault>();
        var counts = new Dictionary<FaultKind, long>();
        var fileFaults = new List<string>();
        var seen = new Dictionary<ulong, RowSource>();
        var duplicates = new List<DuplicateRow>();
        var empty = new List<RowSource>();
        var refused = false;
        long kept = 0;
        var pipeline = new RowPipeline(tools.Encoder(options), Limits.Default, progress, cancellation);
        foreach (var entry in files)
        {
            try
            {
                pipeline.Run(new InputGroup([entry], InputHash.Of([entry.Path])), statistics, (_, row) =>
                {
                    statistics.Count(row);
                    kept += row.Parts.Count;
                    if (row.Length > 0 && !seen.TryAdd(row.Fingerprint, row.Source) && duplicates.Count < DataReport.ListedAtMost)
                        duplicates.Add(new DuplicateRow(row.Source, seen[row.Fingerprint]));
                    if (row.EmptyAnswer && empty.Count < DataReport.ListedAtMost) empty.Add(row.Source);
                    if (row.Fault is not { } fault) return;
                    counts[fault.Kind] = counts.GetValueOrDefault(fault.Kind) + 1;
                    if (faults.Count < DataReport.ListedAtMost) faults.Add(fault);
                    if (StoreMaker.Drops(options, fault.Kind)) statistics.Drop(fault.Kind);
                    else refused = true;
                });
            }
            catch (DataException fault)
            {
                fileFaults.Add(fault.Message);
            }
        }
        return new DataReport
        {
            Statistics = statistics.Build(),
            Faults = faults,
            FaultCounts = counts,
            FileFaults = fileFaults,
            Duplicates = duplicates,
            EmptyAnswers = empty,
            Usable = !refused && fileFaults.Count == 0 && kept > 0,
        };
    }

    public IEnumerable<ShownRow> Show(IReadOnlyList<InputEntry> files)
    {
        var encoder = tools.Encoder(options);
        foreach (var entry in files)
        {
            using var input = InputFile.Open(entry.Path);
            foreach (var raw in RowReader.Read(input, Limits.Default))
            {
                cancellation.ThrowIfCancellationRequested();
                var row = encoder.Encode(raw, entry.Columns);
                if (row.Fault is not null) yield return Shown(row, row.Refused);
                foreach (var part in row.Parts) yield return Shown(row, part);
            }
        }
    }

    private ShownRow Shown(RowOutcome row, EncodedRow? part)
    {
        var shown = new ShownRow
        {
            Source = row.Source,
            Kind = row.Kind?.ToString().ToLowerInvariant() ?? "",
            TemplateSource = row.Kind is RowKind.Chat or RowKind.Instruction ? tools.Chat?.Source : null,
            Ignored = row.Ignored,
            Notes = row.Notes,
            Weight = row.Weight,
            Fault = row.Fault,
        };
        if (part is null) return shown;
        shown = shown with { Ids = part.Ids, Labels = part.Labels, MaskMethod = part.MaskMethod };
        if (part.Text is null || part.Offsets is null) return Decoded(shown, part);
        return shown with
        {
            Text = part.Text,
            Offsets = Array.ConvertAll(part.Offsets, each => new CharSpan(each.Start, each.End)),
            TrainedSpans = [.. part.Spans.Select(span => new CharSpan(span.Start, span.End))],
        };
    }

    /// <summary>Rows of ids have no text of their own: runs of trained and untrained tokens are decoded one by one.</summary>
    private ShownRow Decoded(ShownRow shown, EncodedRow row)
    {
        var text = new System.Text.StringBuilder();
        var spans = new List<CharSpan>();
        var offsets = new CharSpan[row.Ids.Length];
        for (int begin = 0, end; begin < row.Ids.Length; begin = end)
        {
            var trained = row.Labels[begin] >= 0;
            for (end = begin + 1; end < row.Ids.Length && row.Labels[end] >= 0 == trained;) end++;
            var from = text.Length;
            text.Append(tools.Tokenizer.Decode(row.Ids.AsSpan(begin, end - begin)));
            if (trained) spans.Add(new CharSpan(from, text.Length));
            offsets.AsSpan(begin, end - begin).Fill(new CharSpan(from, text.Length));
        }
        return shown with { Text = text.ToString(), TrainedSpans = spans, Offsets = offsets };
    }
}
