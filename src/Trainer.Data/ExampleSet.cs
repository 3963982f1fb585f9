using Trainer.Data.Storage;

namespace Trainer.Data;

/// <summary>Examples in file order. Reading is safe from several threads.</summary>
public sealed class ExampleSet
{
    private readonly TokenStore _store;
    private readonly int[] _rows;
    private readonly string[] _files;

    internal ExampleSet(TokenStore store, int[] rows, IReadOnlyList<SourceRange> sources)
    {
        (_store, _rows, Sources) = (store, rows, sources);
        _files = [.. store.Statistics.Files.Select(file => file.Path)];
        Lengths = Array.ConvertAll(rows, row => store.Index.Length[row]);
        double weights = 0, taken = 0;
        foreach (var (start, count, weight) in sources)
            for (var i = start; i < start + count; i++)
            {
                weights += weight * store.Index.Weight[rows[i]];
                taken += weight;
            }
        foreach (var row in rows)
        {
            Tokens += store.Index.Length[row];
            TrainedTokens += store.Index.Trained[row];
        }
        if (weights <= 0) throw new DataException($"no row of the data has a weight above 0 ({string.Join(", ", _files.Take(3))}): nothing would be trained; check the column 'weight'");
        MeanWeight = (float)(weights / taken);
    }

    /// <summary>How many examples.</summary>
    public int Count => _rows.Length;

    /// <summary>Length of each example in tokens.</summary>
    public int[] Lengths { get; }

    /// <summary>Tokens of all examples.</summary>
    public long Tokens { get; }

    /// <summary>Targets of all examples that carry loss.</summary>
    public long TrainedTokens { get; }

    /// <summary>Mean row weight over an epoch; row weights are divided by it.</summary>
    public float MeanWeight { get; }

    /// <summary>Which examples came from which source.</summary>
    public IReadOnlyList<SourceRange> Sources { get; }

    /// <summary>An example, copied out of the store.</summary>
    /// <exception cref="DataException">The cached tokens are damaged.</exception>
    public Example this[int row]
    {
        get
        {
            var at = _rows[row];
            var (ids, labels) = _store.Read(at);
            return new Example(ids, labels, _store.Index.Weight[at], Source(row));
        }
    }

    /// <summary>The file and line an example came from.</summary>
    public RowSource Source(int row) => new(_files[_store.Index.File[_rows[row]]], _store.Index.Line[_rows[row]]);

    /// <summary>Targets of an example that carry loss.</summary>
    public int TrainedTokensOf(int row) => _store.Index.Trained[_rows[row]];

    /// <summary>Lays examples out as one micro-batch.</summary>
    /// <param name="rows">Examples, in order.</param>
    /// <param name="weighted">Row weights divided by the mean; false gives every row 1, as evaluation wants.</param>
    public MicroBatch Batch(ReadOnlySpan<int> rows, bool weighted = true)
    {
        var examples = new Example[rows.Length];
        for (var i = 0; i < examples.Length; i++) examples[i] = weighted ? this[rows[i]] : this[rows[i]] with { Weight = 1 };
        return MicroBatch.From(examples, weighted ? MeanWeight : 1);
    }
}
