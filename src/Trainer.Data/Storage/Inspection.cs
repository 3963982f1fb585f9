using Trainer.Data.Reading;
using Trainer.Data.Rows;

namespace Trainer.Data.Storage;

/// <summary>Looks at data without making a store: for <c>data check</c> and <c>data show</c>.</summary>
internal sealed class Inspection(DataOptions options, TextTools tools, IProgress<DataProgress>? progress, CancellationToken cancellation)
{
    private readonly List<RowFault> _faults = [];
    private readonly Dictionary<FaultKind, long> _counts = [];
    private readonly List<string> _fileFaults = [];
    private readonly List<RowSource> _empty = [];
    private bool _refused, _weighted;
    private long _kept;
    private int _rows;

    /// <summary>Looks at all rows, those to train on and those held out.</summary>
    /// <param name="files">Files to train on.</param>
    /// <param name="heldOut">Files held out; empty where there are none.</param>
    public DataReport Check(IReadOnlyList<InputEntry> files, IReadOnlyList<InputEntry> heldOut)
    {
        using var statistics = new StatisticsBuilder();
        using var evaluated = new StatisticsBuilder();
        Read(files, statistics, held: false);
        var (kept, weighted) = (_kept, _weighted);
        if (heldOut.Count > 0) Read(heldOut, evaluated, held: true);
        if (kept > 0 && !weighted) _fileFaults.Add(DatasetBuilder.NoWeight(files.Select(file => file.Path)));
        var leak = heldOut.Count > 0
            ? Leak(() => statistics.Digests().Select(row => row.Digest), () => evaluated.Digests().Select(row => (row.Digest, row.File, row.Line)), heldOut)
            : kept > 0 && options.EvalSplit > 0 ? LeakOfSplit(statistics, files) : null;
        return new DataReport
        {
            Statistics = statistics.Build(),
            Notes = leak is null ? [] : [leak],
            HeldOut = heldOut.Count > 0 ? evaluated.Build() : null,
            Faults = _faults,
            FaultCounts = _counts,
            FileFaults = _fileFaults,
            Duplicates = statistics.Duplicates(DataReport.ListedAtMost, files),
            EmptyAnswers = _empty,
            Usable = !_refused && _fileFaults.Count == 0 && kept > 0 && (heldOut.Count == 0 || _kept > kept),
        };
    }

    private void Read(IReadOnlyList<InputEntry> files, StatisticsBuilder statistics, bool held)
    {
        var pipeline = new RowPipeline(tools.Encoder(options, held), Limits.Default, progress, cancellation);
        for (var f = 0; f < files.Count; f++)
        {
            var entry = files[f];
            var number = f;
            try
            {
                pipeline.Run(new InputGroup([entry], InputHash.Of([entry.Path])), statistics, (_, row) =>
                {
                    statistics.Count(number, row);
                    _kept += row.Parts.Count;
                    if (row.Parts.Count > 0 && !held) _rows++;
                    _weighted |= row.Parts.Count > 0 && row.Weight > 0;
                    if (row.EmptyAnswer && _empty.Count < DataReport.ListedAtMost) _empty.Add(row.Source);
                    if (row.Fault is not { } fault) return;
                    _counts[fault.Kind] = _counts.GetValueOrDefault(fault.Kind) + 1;
                    if (_faults.Count < DataReport.ListedAtMost) _faults.Add(fault);
                    if (StoreMaker.Drops(options, fault.Kind)) statistics.Drop(fault.Kind);
                    else _refused = true;
                });
            }
            catch (DataException fault)
            {
                _fileFaults.Add(fault.Message);
            }
        }
    }

    private static string? Leak(Func<IEnumerable<ulong>> trained, Func<IEnumerable<(ulong Digest, int File, long Line)>> evaluated,
        IReadOnlyList<InputEntry> files)
    {
        var (count, first) = Repeats.Among(() => evaluated().Select(row => row.Digest), trained);
        if (count == 0) return null;
        var (_, file, line) = evaluated().ElementAt((int)first);
        return DatasetBuilder.LeakOf(count, evaluated().LongCount(), new RowSource(files[file].Path, line));
    }

    /// <summary>The leak of the rows that a run would hold out of these, by the same choice; a split that cannot be made is a fault.</summary>
    private string? LeakOfSplit(StatisticsBuilder statistics, IReadOnlyList<InputEntry> files)
    {
        if (_rows < 2) return null;
        try
        {
            var chosen = HeldOut.ChooseRows(_rows, options.EvalSplit);
            var kept = () => statistics.Digests().Where(row => row.Kept).Select((row, number) => (row.Digest, row.File, row.Line, Held: chosen[number]));
            return Leak(() => kept().Where(row => !row.Held).Select(row => row.Digest),
                () => kept().Where(row => row.Held).Select(row => (row.Digest, row.File, row.Line)), files);
        }
        catch (DataException fault)
        {
            _fileFaults.Add(fault.Message);
            return null;
        }
    }

    public IEnumerable<ShownRow> Show(IReadOnlyList<InputEntry> files)
    {
        var encoder = tools.Encoder(options);
        foreach (var entry in files)
        {
            using var input = InputFile.Open(entry.Path);
            var isEmpty = true;
            foreach (var raw in RowReader.Read(input, Limits.Default, entry.Rows))
            {
                isEmpty = false;
                cancellation.ThrowIfCancellationRequested();
                var row = encoder.Encode(raw, entry.Columns);
                if (row.Fault is not null) yield return Shown(row, row.Refused);
                foreach (var part in row.Parts) yield return Shown(row, part);
            }
            if (isEmpty) throw RowPipeline.Empty(entry);
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
        if (shown.TemplateSource is null && part.MaskMethod is not null) shown = shown with { TemplateSource = tools.Chat?.Source };
        return Written(shown,
            part)
            with { Sides = [.. part.Sides().Where(side => side.Role != SegmentRole.Plain).Select(side => new ShownSide(side.Role, Written(shown, side.Row)))] };
    }

    private ShownRow Written(ShownRow shown, EncodedRow part)
    {
        // What a first token's label says of its sequence is said by the sides.
        shown = shown with { Ids = part.Ids, Labels = Array.ConvertAll(part.Labels, label => Math.Max(label, Example.IgnoredLabel)),
            MaskMethod = part.MaskMethod };
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
