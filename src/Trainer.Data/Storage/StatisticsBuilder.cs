using Trainer.Data.Rows;

namespace Trainer.Data.Storage;

/// <summary>Counts what happens to rows.</summary>
internal sealed class StatisticsBuilder : IDisposable
{
    private readonly Repeats _repeats = new();
    private readonly Dictionary<FaultKind, long> _dropped = [];
    private readonly SortedDictionary<string, long> _ignored = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, long> _notes = new(StringComparer.Ordinal);
    private readonly List<FileStatistics> _files = [];
    private readonly long[] _lengths = new long[33];
    private readonly long[] _roles = new long[Enum.GetValues<SegmentRole>().Length];
    private long _truncated, _split, _empty, _examples;
    private int _longest;

    public long Rows { get; private set; }
    public long Tokens { get; private set; }
    public long TrainedTokens { get; private set; }

    /// <summary>Counts a row.</summary>
    /// <param name="file">Number of its file.</param>
    /// <param name="row">What became of it.</param>
    public void Count(int file, RowOutcome row)
    {
        Rows++;
        foreach (var name in row.Ignored) _ignored[name] = _ignored.GetValueOrDefault(name) + 1;
        foreach (var note in row.Notes) _notes[note] = _notes.GetValueOrDefault(note) + 1;
        if (row.Length > 0)
        {
            _lengths[Bucket(row.Length)]++;
            _repeats.Add(row.Fingerprint, file, row.Source.Line, row.Parts.Count > 0);
        }
        if (row.EmptyAnswer) _empty++;
        if (row.Truncated) _truncated++;
        if (row.Parts.Count > 1) _split++;
        foreach (var part in row.Parts)
        {
            _examples++;
            Tokens += part.Ids.Length;
            TrainedTokens += part.TrainedTokens;
            _longest = Math.Max(_longest, part.Ids.Length);
            foreach (var label in part.Labels)
                if (label < Example.IgnoredLabel) _roles[(int)Example.RoleOf(label)]++;
        }
    }

    /// <summary>Digest and place of every row that became tokens, and whether any of them are kept.</summary>
    public IEnumerable<(ulong Digest, int File, long Line, bool Kept)> Digests() => _repeats.All();

    /// <summary>The first rows that equal an earlier one.</summary>
    /// <param name="listed">Most rows.</param>
    /// <param name="files">The files by number.</param>
    public IReadOnlyList<DuplicateRow> Duplicates(int listed, IReadOnlyList<InputEntry> files) =>
        [.. _repeats.Find(listed).Rows.Select(row => new DuplicateRow(new RowSource(files[row.File].Path, row.Line),
        new RowSource(files[row.FirstFile].Path, row.FirstLine)))];

    public void Drop(FaultKind kind) => _dropped[kind] = _dropped.GetValueOrDefault(kind) + 1;

    public void File(FileStatistics file) => _files.Add(file);

    public DataStatistics Build() => new()
    {
        Files = _files,
        Rows = Rows,
        Examples = _examples,
        Answers = new AnswerCounts(_roles[(int)SegmentRole.Chosen], _roles[(int)SegmentRole.Desirable], _roles[(int)SegmentRole.Undesirable],
            _roles[(int)SegmentRole.Prompt]),
        Tokens = Tokens,
        TrainedTokens = TrainedTokens,
        LongestExample = _longest,
        Dropped = _dropped,
        TruncatedRows = _truncated,
        SplitRows = _split,
        EmptyAnswers = _empty,
        Duplicates = _repeats.Find(0).Count,
        IgnoredColumns = _ignored,
        Notes = _notes,
        Lengths = Histogram(_lengths),
    };

    /// <summary>Powers of two: 1 to 16, 17 to 32, 33 to 64 and so on.</summary>
    public static IReadOnlyList<LengthBucket> Histogram(long[] counts)
    {
        var buckets = new List<LengthBucket>();
        for (var b = 4; b < counts.Length - 1; b++)
            if (counts[b] > 0) buckets.Add(new LengthBucket(b == 4 ? 1 : (1 << (b - 1)) + 1, (int)Math.Min(1L << b, int.MaxValue), counts[b]));
        return buckets;
    }

    public static int Bucket(int length) => Math.Max(4, 32 - System.Numerics.BitOperations.LeadingZeroCount((uint)(length - 1)));

    public void Dispose() => _repeats.Dispose();
}
