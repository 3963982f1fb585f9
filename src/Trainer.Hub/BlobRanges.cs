using System.Globalization;

namespace Trainer.Hub;

/// <summary>
/// What lies on the disk of a blob that is being fetched: its bytes in ETAG.part, and in ETAG.ranges where the ranges begin that are whole there. Both
/// go when the blob has its name; a kill on the way is made good at the next start.
/// </summary>
/// <param name="blob">The path that the finished blob gets.</param>
/// <param name="bytes">Its size.</param>
/// <param name="rangeBytes">The size of a range.</param>
internal sealed class BlobRanges(string blob, long bytes, long rangeBytes)
{
    private readonly string _list = blob + ".ranges";
    private readonly long _size = Math.Max(1, rangeBytes);
    private readonly Lock _gate = new();

    internal string Part { get; } = blob + ".part";

    internal bool IsWhole => new FileInfo(blob) is { Exists: true } found && found.Length == bytes;

    /// <summary>What is not here yet, in bytes: 0 of a whole blob, all but the whole ranges of one that a stopped download left.</summary>
    internal long MissingBytes => IsWhole ? 0 : Open(Done() ?? []).Sum(static range => range.To - range.From);

    private string Head => $"{bytes} {rangeBytes}";

    /// <summary>The ranges to fetch, in order. What a stopped download left counts if it was cut in the same steps.</summary>
    internal List<(long From, long To)> Begin()
    {
        var done = Done();
        if (done is null) File.WriteAllText(_list, Head + "\n");
        return Open(done ?? []);
    }

    internal void Add(long from)
    {
        lock (_gate)
        {
            File.AppendAllText(_list, from.ToString(CultureInfo.InvariantCulture) + ".\n");
        }
    }

    internal void Finish()
    {
        File.Move(Part, blob, overwrite: true);
        Clear();
    }

    internal void Clear()
    {
        File.Delete(Part);
        File.Delete(_list);
    }

    private List<(long From, long To)> Open(HashSet<long> done)
    {
        var open = new List<(long From, long To)>();
        for (long from = 0; from < bytes; from += _size)
        {
            if (!done.Contains(from)) open.Add((from, Math.Min(bytes, from + _size)));
        }
        return open;
    }

    // Null where nothing was begun, or in other steps.
    private HashSet<long>? Done()
    {
        var lines = File.Exists(_list) && File.Exists(Part) ? File.ReadAllLines(_list) : [];
        if (lines.Length == 0 || lines[0] != Head) return null;
        // A kill may cut the last line short; a number cut short could name another range, so only lines with their mark count.
        return [.. lines.Skip(1).Where(static line => line.EndsWith('.'))
            .Select(static line => long.TryParse(line.AsSpan(0, line.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var at) ? at : -1)];
    }
}
