namespace Trainer.Data.Storage;

/// <summary>
/// Finds equal rows by their digests. Digests lie in a <see cref="Spool{T}"/>, are dealt out by their last bits and looked at a share at a time, so
/// memory does not grow with the rows.
/// </summary>
internal sealed class Repeats : IDisposable
{
    private const int Share = 1 << 16;
    private const int MostShares = 256;

    private readonly Spool<Place> _places = new();

    /// <summary>Notes a row.</summary>
    /// <param name="digest">Digest of its ids and labels.</param>
    /// <param name="file">Number of its file.</param>
    /// <param name="line">Its line.</param>
    /// <param name="kept">Whether anything of it is kept.</param>
    public void Add(ulong digest, int file, long line, bool kept) => _places.Add(new Place(digest, line, file, kept));

    /// <summary>Every row noted, in order.</summary>
    public IEnumerable<(ulong Digest, int File, long Line, bool Kept)> All() =>
        _places.Items().Select(place => (place.Digest, place.File, place.Line, place.Kept));

    /// <summary>How many rows equal an earlier one, and the first few of them with the row they equal.</summary>
    /// <param name="listed">Most rows to list.</param>
    public (long Count, IReadOnlyList<(int File, long Line, int FirstFile, long FirstLine)> Rows) Find(int listed)
    {
        long count = 0;
        var rows = new List<(long Number, int File, long Line, int FirstFile, long FirstLine)>();
        var first = new Dictionary<ulong, Numbered>(Share);
        foreach (var share in Dealt(_places.Items().Select((place, number) => new Numbered(place, number)), _places.Count, static each => each.Place.Digest))
        {
            using (share)
            {
                first.Clear();
                var found = 0;
                foreach (var each in share.Items())
                {
                    if (first.TryAdd(each.Place.Digest, each)) continue;
                    count++;
                    var earlier = first[each.Place.Digest].Place;
                    if (found++ < listed) rows.Add((each.Number, each.Place.File, each.Place.Line, earlier.File, earlier.Line));
                }
            }
        }
        return (count, [.. rows.OrderBy(row => row.Number).Take(listed).Select(row => (row.File, row.Line, row.FirstFile, row.FirstLine))]);
    }

    /// <summary>How many of one list's digests are in another, and which is the first.</summary>
    /// <param name="asked">Digests to look for, given again at each call.</param>
    /// <param name="among">Digests to look among, given again at each call.</param>
    public static (long Count, long First) Among(Func<IEnumerable<ulong>> asked, Func<IEnumerable<ulong>> among)
    {
        long count = 0, first = -1;
        var all = asked().LongCount();
        var there = new HashSet<ulong>(Share);
        var others = Dealt(among(), all, static digest => digest);
        foreach (var (share, other) in Dealt(asked().Select((digest, number) => (Digest: digest, Number: (long)number)), all, static each => each.Digest)
            .Zip(others))
        {
            using (share)
            using (other)
            {
                there.Clear();
                foreach (var each in share.Items()) there.Add(each.Digest);
                var found = new HashSet<ulong>();
                foreach (var digest in other.Items())
                    if (there.Contains(digest)) found.Add(digest);
                foreach (var (digest, number) in share.Items())
                {
                    if (!found.Contains(digest)) continue;
                    count++;
                    if (first < 0 || number < first) first = number;
                }
            }
        }
        return (count, first);
    }

    /// <summary>Entries dealt out by their digests' last bits: equal digests come into one share, in the order given.</summary>
    private static Spool<T>[] Dealt<T>(IEnumerable<T> entries, long count, Func<T, ulong> digestOf) where T : unmanaged
    {
        var shares = new Spool<T>[(int)Math.Clamp((count + Share - 1) / Share, 1, MostShares)];
        for (var i = 0; i < shares.Length; i++) shares[i] = new Spool<T>(shares.Length == 1 ? 1 << 14 : 1 << 9);
        foreach (var entry in entries) shares[(int)(digestOf(entry) % (ulong)shares.Length)].Add(entry);
        return shares;
    }

    public void Dispose() => _places.Dispose();

    private readonly record struct Place(ulong Digest, long Line, int File, bool Kept);

    private readonly record struct Numbered(Place Place, long Number);
}
