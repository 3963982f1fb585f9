using Trainer.Data.Rows;
using Trainer.Data.Storage;
using Trainer.Tokenizers;

namespace Trainer.Data;

/// <summary>Answers what is in data files, for <c>data check</c>, <c>data show</c> and the plan.</summary>
public static class DataInspector
{
    /// <summary>Reads and tokenizes every row, trained and held out, without keeping tokens, and tells all that is wrong instead of stopping at the first
    /// fault.</summary>
    /// <param name="options">Sources and rules.</param>
    /// <param name="text">Tokenizer and templates of the model.</param>
    /// <param name="progress">Told after every batch of rows.</param>
    /// <param name="cancellation">Ends the work.</param>
    /// <exception cref="DataException">No data is named, or nothing lies there.</exception>
    public static DataReport Check(DataOptions options, ModelText text, IProgress<DataProgress>? progress = null, CancellationToken cancellation = default) =>
        Check(options, text.Tools, progress, cancellation);

    /// <summary>The training rows one by one as they would be trained; a refused row comes with its fault, a split row as its parts. Reads no further than
    /// asked.</summary>
    /// <param name="options">Sources and rules.</param>
    /// <param name="text">Tokenizer and templates of the model.</param>
    /// <param name="notes">Takes what of the sources is not read, before the first row comes; null where nobody asks.</param>
    /// <param name="cancellation">Ends the work.</param>
    /// <exception cref="DataException">A file cannot be read on.</exception>
    public static IEnumerable<ShownRow> Show(DataOptions options, ModelText text, List<string>? notes = null, CancellationToken cancellation = default) =>
        Show(options, text.Tools, notes, cancellation);

    /// <summary>Reads and tokenizes every row, trained and held out, without keeping tokens, and tells all that is wrong instead of stopping at the first
    /// fault.</summary>
    /// <param name="options">Sources and rules.</param>
    /// <param name="tokenizer">The model's tokenizer; null where it has none.</param>
    /// <param name="vocabularySize">Rows of the model's embedding, or null.</param>
    /// <param name="progress">Told after every batch of rows.</param>
    /// <param name="cancellation">Ends the work.</param>
    /// <exception cref="DataException">No data is named, or nothing lies there.</exception>
    public static DataReport Check(DataOptions options, HfTokenizer? tokenizer, int? vocabularySize = null, IProgress<DataProgress>? progress = null,
        CancellationToken cancellation = default) =>
        Check(options, TextTools.Of(tokenizer, vocabularySize), progress, cancellation);

    /// <summary>The training rows one by one as they would be trained; a refused row comes with its fault, a split row as its parts. Reads no further than
    /// asked.</summary>
    /// <param name="options">Sources and rules.</param>
    /// <param name="tokenizer">The model's tokenizer; null where it has none.</param>
    /// <param name="vocabularySize">Rows of the model's embedding, or null.</param>
    /// <param name="cancellation">Ends the work.</param>
    /// <exception cref="DataException">A file cannot be read on.</exception>
    public static IEnumerable<ShownRow> Show(DataOptions options, HfTokenizer? tokenizer, int? vocabularySize = null, CancellationToken cancellation = default)
        =>
        Show(options, TextTools.Of(tokenizer, vocabularySize), cancellation: cancellation);

    internal static DataReport Check(DataOptions options, TextTools tools, IProgress<DataProgress>? progress = null, CancellationToken cancellation = default)
    {
        DatasetBuilder.Validate(options);
        var notes = new List<string>();
        var train = DatasetBuilder.TrainEntries(options, notes);
        var held = DatasetBuilder.EvalEntries(options, notes);
        var report = new Inspection(options, tools, progress, cancellation).Check(train, held);
        return report with { Notes = [.. notes, .. report.Notes] };
    }

    internal static IEnumerable<ShownRow> Show(DataOptions options, TextTools tools, List<string>? notes = null, CancellationToken cancellation = default)
    {
        DatasetBuilder.Validate(options);
        return new Inspection(options, tools, null, cancellation).Show(DatasetBuilder.TrainEntries(options, notes ?? []));
    }
}
