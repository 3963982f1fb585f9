using System.Security.Cryptography;
using Trainer.Data.Batching;
using Trainer.Data.Storage;

namespace Trainer.Data;

/// <summary>Examples in file order. Reading is safe from several threads.</summary>
public sealed class ExampleSet
{
    private readonly TokenStore _store;
    private readonly int[]? _rows;
    private readonly string[] _files;

    /// <param name="store">Where the examples lie.</param>
    /// <param name="rows">Their numbers there, ascending; null for all.</param>
    /// <param name="sources">Which of them came from which source.</param>
    internal ExampleSet(TokenStore store, int[]? rows, IReadOnlyList<SourceRange> sources)
    {
        (_store, _rows, Sources) = (store, rows, sources);
        _files = [.. store.Statistics.Files.Select(file => file.Path)];
        Lengths = new int[rows?.Length ?? store.Count];
        double weights = 0, taken = 0;
        var (at, source) = (0, 0);
        foreach (var record in Records())
        {
            while (source < sources.Count - 1 && at >= sources[source].Start + sources[source].Count) source++;
            weights += sources[source].Weight * record.Weight;
            taken += sources[source].Weight;
            Lengths[at++] = record.Length;
            Longest = Math.Max(Longest, record.Length);
            Tokens += record.Length;
            TrainedTokens += record.Trained;
        }
        HasWeight = weights > 0;
        MeanWeight = HasWeight ? (float)(weights / taken) : 1;
    }

    /// <summary>How many examples.</summary>
    public int Count => Lengths.Length;

    /// <summary>Length of each example in tokens.</summary>
    public int[] Lengths { get; }

    /// <summary>Tokens of the longest example.</summary>
    public int Longest { get; }

    /// <summary>Tokens of all examples.</summary>
    public long Tokens { get; }

    /// <summary>Targets of all examples that carry loss.</summary>
    public long TrainedTokens { get; }

    /// <summary>Mean row weight over an epoch; row weights are divided by it.</summary>
    public float MeanWeight { get; }

    /// <summary>Which examples came from which source.</summary>
    public IReadOnlyList<SourceRange> Sources { get; }

    /// <summary>Whether any row has a weight above 0.</summary>
    internal bool HasWeight { get; }

    /// <summary>An example, copied out of the store.</summary>
    /// <exception cref="DataException">The cached tokens are damaged.</exception>
    public Example this[int row]
    {
        get
        {
            var record = Record(row);
            var (ids, labels) = _store.Read(record);
            return new Example(ids, labels, record.Weight, SourceOf(record));
        }
    }

    /// <summary>The file and line an example came from.</summary>
    public RowSource Source(int row) => SourceOf(Record(row));

    /// <summary>Targets of an example that carry loss.</summary>
    public int TrainedTokensOf(int row) => Record(row).Trained;

    /// <summary>Lays examples out as one micro-batch.</summary>
    /// <param name="rows">Examples, in order.</param>
    /// <param name="weighted">Row weights divided by the mean; false gives every row 1, as evaluation wants.</param>
    public MicroBatch Batch(ReadOnlySpan<int> rows, bool weighted = true)
    {
        var examples = new Example[rows.Length];
        for (var i = 0; i < examples.Length; i++) examples[i] = weighted ? this[rows[i]] : this[rows[i]] with { Weight = 1 };
        return MicroBatch.From(examples, weighted ? MeanWeight : 1);
    }

    /// <summary>Digest of all ids and labels, in order: equal sets of tokens have equal digests, wherever they came from.</summary>
    public byte[] Digest()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var record in Records()) hash.AppendData(BitConverter.GetBytes(record.Check));
        return hash.GetHashAndReset();
    }

    /// <summary>The records of its examples, in order.</summary>
    internal IEnumerable<RowRecord> Records() => _rows is null ? _store.Records() : Chosen(_store, _rows);

    internal RowSource SourceOf(RowRecord record) => new(_files[record.File], record.Line);

    private RowRecord Record(int row) => _store.Record(_rows is null ? row : _rows[row]);

    private static IEnumerable<RowRecord> Chosen(TokenStore store, int[] rows)
    {
        var (number, next) = (0, 0);
        foreach (var record in store.Records())
        {
            if (next == rows.Length) yield break;
            if (number++ != rows[next]) continue;
            next++;
            yield return record;
        }
    }
}
