using System.Globalization;
using Trainer.Data.Rows;

namespace Trainer.Data.Storage;

/// <summary>Refusals that are told together, with counts, when all rows have been seen.</summary>
internal sealed class FaultSummary(int maxSeqLength)
{
    private readonly Dictionary<FaultKind, (RowFault First, int FirstLength, long Count)> _kinds = [];
    private readonly long[] _tooLong = new long[33];
    private int _longest;

    public void Add(RowOutcome row)
    {
        var fault = row.Fault!;
        var (first, length, count) = _kinds.GetValueOrDefault(fault.Kind, (fault, row.Length, 0));
        _kinds[fault.Kind] = (first, length, count + 1);
        if (fault.Kind != FaultKind.TooLong) return;
        _tooLong[StatisticsBuilder.Bucket(row.Length)]++;
        _longest = Math.Max(_longest, row.Length);
    }

    public void ThrowIfAny(long rows)
    {
        if (_kinds.Count == 0) return;
        throw new DataException(string.Join("; and ", _kinds.OrderBy(each => each.Key).Select(each => Sentence(each.Value, rows))));
    }

    private string Sentence((RowFault First, int FirstLength, long Count) kind, long rows)
    {
        var (fault, length, count) = kind;
        if (count == 1) return fault.Message;
        if (fault.Kind != FaultKind.TooLong) return $"{count} of {rows} rows are bad (first: {fault.Where}): {fault.Reason}; {fault.Advice}";
        var histogram = string.Join(", ", StatisticsBuilder.Histogram(_tooLong)
            .Select(bucket => string.Create(CultureInfo.InvariantCulture, $"{Math.Max(bucket.From, maxSeqLength + 1)}-{bucket.To}: {bucket.Rows}")));
        return $"{count} of {rows} rows are too long (first: {fault.Where} with {length} tokens; "
            + $"longest {_longest}; tokens {histogram}): {fault.Reason}; {fault.WayOut}";
    }
}
