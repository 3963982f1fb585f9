using Trainer.Data.Reading;
using Trainer.Data.Rows;
using Trainer.Data.Storage;
using Trainer.Tokenizers;

namespace Trainer.Data;

/// <summary>Data files to tokenized, masked, checked examples.</summary>
public static class DatasetBuilder
{
    /// <summary>Reads, tokenizes, masks and checks everything the options name, or opens what an earlier run cached.</summary>
    /// <param name="options">Sources and rules.</param>
    /// <param name="text">Tokenizer and templates of the model.</param>
    /// <param name="progress">Told after every batch of rows; not at all where the cache answers.</param>
    /// <param name="cancellation">Ends the work; no half cache is left.</param>
    /// <exception cref="DataException">Data that cannot be trained on as the options stand.</exception>
    public static Dataset Build(DataOptions options, ModelText text, IProgress<DataProgress>? progress = null, CancellationToken cancellation = default) =>
        Build(options, text.Tools, progress, cancellation);

    /// <summary>The same without a chat template: rows that are chats are refused.</summary>
    /// <param name="options">Sources and rules.</param>
    /// <param name="tokenizer">The model's tokenizer; null where it has none, and then only rows of ids can be read.</param>
    /// <param name="vocabularySize">Rows of the model's embedding; a token id at or above it is refused. Null trusts the tokenizer.</param>
    /// <param name="progress">Told after every batch of rows; not at all where the cache answers.</param>
    /// <param name="cancellation">Ends the work; no half cache is left.</param>
    /// <exception cref="DataException">Data that cannot be trained on as the options stand.</exception>
    public static Dataset Build(DataOptions options, HfTokenizer? tokenizer, int? vocabularySize = null, IProgress<DataProgress>? progress = null, CancellationToken cancellation = default) =>
        Build(options, TextTools.Of(tokenizer, vocabularySize), progress, cancellation);

    internal static Dataset Build(DataOptions options, TextTools tools, IProgress<DataProgress>? progress = null, CancellationToken cancellation = default)
    {
        Validate(options);
        var maker = new StoreMaker(options, tools, progress, cancellation);
        var train = InputGroup.Of(options.Train, DataFiles.Train);
        var eval = EvalGroup(options);
        var hash = Convert.ToHexStringLower(InputHash.Join([.. train.Hashes, "eval", .. eval?.Hashes ?? []]));
        var owned = new List<IDisposable>();
        try
        {
            var store = maker.Make(train);
            owned.Add(store);
            var held = eval is null && options.EvalSplit > 0 ? HeldOut.Choose(store.Index, options.EvalSplit) : null;
            var trainSet = Select(store, train, options.Train, held, false);
            if (held is not null) return new Dataset(trainSet, Select(store, train, null, held, true), store.Statistics, null, hash, owned);
            if (eval is null) return new Dataset(trainSet, null, store.Statistics, null, hash, owned);
            var evalStore = maker.Make(eval, heldOut: true);
            owned.Add(evalStore);
            return new Dataset(trainSet, Select(evalStore, eval, null, null, true), store.Statistics, evalStore.Statistics, hash, owned);
        }
        catch
        {
            foreach (var each in owned) each.Dispose();
            throw;
        }
    }

    /// <summary>Named evaluation data first, then a share of the training rows if asked for, else the training folders' own valid splits.</summary>
    private static InputGroup? EvalGroup(DataOptions options)
    {
        if (options.Eval.Count > 0) return InputGroup.Of(options.Eval, DataFiles.Eval);
        if (options.EvalSplit > 0) return null;
        var group = InputGroup.Of(options.Train, DataFiles.HeldOut);
        return group.Files.Count > 0 ? group : null;
    }

    private static void Validate(DataOptions options)
    {
        if (options.Train.Count == 0) throw new DataException("no data: name a file or folder with --data");
        if (options.MaxSeqLength < 2) throw new DataException($"--max-seq-length {options.MaxSeqLength} leaves nothing to predict; use 2 or more");
        if (options.EvalSplit < 0 || !double.IsFinite(options.EvalSplit) || options.EvalSplit > 1 && options.EvalSplit != Math.Floor(options.EvalSplit))
            throw new DataException($"--eval-split {options.EvalSplit} is neither a share below 1 nor a count of rows");
        foreach (var source in options.Train)
            if (!(source.Weight > 0) || !double.IsFinite(source.Weight)) throw new DataException($"the weight of data source '{source.Path}' is {source.Weight}; it must be above 0");
    }

    /// <summary>The rows of a store that are held out, or those that are not, with the range of each source.</summary>
    private static ExampleSet Select(TokenStore store, InputGroup group, IReadOnlyList<DataSource>? sources, bool[]? held, bool want)
    {
        var rows = new List<int>(store.Index.Count);
        var ranges = new List<SourceRange>();
        var (start, source) = (0, 0);
        for (var i = 0; i < store.Index.Count; i++)
        {
            if (held is not null && held[i] != want) continue;
            var its = group.Files[store.Index.File[i]].Source;
            if (sources is not null && its != source)
            {
                Close();
                source = its;
            }
            rows.Add(i);
        }
        Close();
        return new ExampleSet(store, [.. rows], ranges);

        void Close()
        {
            if (rows.Count > start) ranges.Add(new SourceRange(start, rows.Count - start, sources?[source].Weight ?? 1));
            start = rows.Count;
        }
    }
}
