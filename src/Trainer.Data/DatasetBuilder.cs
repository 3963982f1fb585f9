using Trainer.Data.Batching;
using Trainer.Data.Rows;
using Trainer.Data.Sources;
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
    public static Dataset Build(DataOptions options, HfTokenizer? tokenizer, int? vocabularySize = null, IProgress<DataProgress>? progress = null,
        CancellationToken cancellation = default) =>
        Build(options, TextTools.Of(tokenizer, vocabularySize), progress, cancellation);

    internal static Dataset Build(DataOptions options, TextTools tools, IProgress<DataProgress>? progress = null, CancellationToken cancellation = default)
    {
        Validate(options);
        var maker = new StoreMaker(options, tools, progress, cancellation);
        var notes = new List<string>();
        var train = InputGroup.Of(TrainEntries(options, notes));
        var evalEntries = EvalEntries(options, notes);
        var eval = evalEntries.Count > 0 ? InputGroup.Of(evalEntries) : null;
        var hash = Convert.ToHexStringLower(InputHash.Join([.. train.Hashes, "eval", .. eval?.Hashes ?? []]));
        var owned = new List<IDisposable>();
        try
        {
            var store = maker.Make(train);
            owned.Add(store);
            var held = eval is null && options.EvalSplit > 0 ? HeldOut.Choose(store, options.EvalSplit) : null;
            var trainSet = Select(store, train, options.Train, held, false);
            if (!trainSet.HasWeight) throw new DataException(NoWeight(train.Files.Select(file => file.Path)));
            ExampleSet? evalSet = null;
            DataStatistics? evalStatistics = null;
            if (held is not null) evalSet = Select(store, train, null, held, true, options.MaxEvalSamples);
            else if (eval is not null)
            {
                var evalStore = maker.Make(eval, heldOut: true);
                owned.Add(evalStore);
                (evalSet, evalStatistics) = (Select(evalStore, eval, null, null, true), evalStore.Statistics);
            }
            notes.AddRange(maker.Notes);
            if (evalSet is not null && Leak(trainSet, evalSet) is { } leak) notes.Add(leak);
            return new Dataset(trainSet, evalSet, store.Statistics, evalStatistics, hash, owned) { Notes = notes };
        }
        catch
        {
            foreach (var each in owned) each.Dispose();
            throw;
        }
    }

    /// <summary>What is said where no row carries a weight above 0.</summary>
    internal static string NoWeight(IEnumerable<string> files) =>
        $"no row of the data has a weight above 0 ({string.Join(", ", files.Take(3))}): nothing would be trained; check the column 'weight'";

    /// <summary>The files that are trained on, and what of the sources is not read.</summary>
    internal static List<InputEntry> TrainEntries(DataOptions options, List<string> notes) => InputGroup.Entries(options.Train, source =>
    {
        var (files, said) = SourceFiles.Train(source, options.MaxSamples);
        notes.AddRange(said);
        return files;
    });

    /// <summary>Named evaluation data first, then a share of the training rows if asked for (no files), else the training folders' own valid splits.</summary>
    internal static List<InputEntry> EvalEntries(DataOptions options, List<string> notes)
    {
        if (options.Eval.Count == 0)
            return options.EvalSplit > 0 ? [] : InputGroup.Entries(options.Train, source => SourceFiles.HeldOut(source, options.MaxEvalSamples));
        return InputGroup.Entries(options.Eval, source =>
        {
            var (files, said) = SourceFiles.Eval(source, options.MaxEvalSamples);
            notes.AddRange(said);
            return files;
        });
    }

    /// <summary>Refuses options that contradict themselves.</summary>
    internal static void Validate(DataOptions options)
    {
        if (options.Train.Count == 0) throw new DataException("no data: name a file or folder with --data");
        if (options.MaxSeqLength < 2) throw new DataException($"--max-seq-length {options.MaxSeqLength} leaves nothing to predict; use 2 or more");
        if (options.EvalSplit < 0 || !double.IsFinite(options.EvalSplit) || options.EvalSplit > 1 && options.EvalSplit != Math.Floor(options.EvalSplit))
            throw new DataException($"--eval-split {options.EvalSplit} is neither a share below 1 nor a count of rows");
        foreach (var source in options.Train)
            if (!(source.Weight > 0) || !double.IsFinite(source.Weight))
                throw new DataException($"the weight of data source '{source.Path}' is {source.Weight}; it must be above 0");
    }

    /// <summary>The examples of a store that are held out, or those that are not, with the range of each source.</summary>
    private static ExampleSet Select(TokenStore store, InputGroup group, IReadOnlyList<DataSource>? sources, bool[]? held, bool want, long? most = null)
    {
        var rows = held is null ? null : new List<int>();
        var ranges = new List<SourceRange>();
        var (start, source, taken, number) = (0, 0, 0, -1);
        long documents = 0;
        RowRecord? before = null;
        foreach (var record in store.Records())
        {
            number++;
            if (held is not null && held[number] != want) continue;
            if (before is not { } last || !record.IsOfRow(last)) documents++;
            before = record;
            if (documents > most) break;
            var its = group.Files[record.File].Source;
            if (sources is not null && its != source)
            {
                Close();
                source = its;
            }
            rows?.Add(number);
            taken++;
        }
        Close();
        return new ExampleSet(store, rows is null ? null : [.. rows], ranges);

        void Close()
        {
            if (taken > start) ranges.Add(new SourceRange(start, taken - start, sources?[source].Weight ?? 1));
            start = taken;
        }
    }

    /// <summary>Held-out rows that are trained on as well measure what was learnt by heart; whoever reads the loss must know.</summary>
    private static string? Leak(ExampleSet train, ExampleSet eval)
    {
        var (count, first) = Repeats.Among(() => eval.Records().Select(record => record.Check), () => train.Records().Select(record => record.Check));
        return count == 0 ? null : LeakOf(count, eval.Count, eval.SourceOf(eval.Records().ElementAt((int)first)));
    }

    /// <summary>What is said where rows are held out and trained on.</summary>
    internal static string LeakOf(long count, long all, RowSource first) => count == all
        ? $"every held-out row is a training row too (first: {first}): the held-out loss says how well rows are learnt by heart, not how the model does on "
            + "others; hold out others"
        : $"{count} of {all} held-out rows are training rows too (first: {first}): their loss says how well they are learnt by heart; remove repeats from one "
            + "of the two";
}
