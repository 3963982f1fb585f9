using Trainer.Data.Reading;
using Trainer.Data.Rows;
using Trainer.Data.Storage;

namespace Trainer.Data.Answers;

/// <summary>Reads rows as questions: all but the last answer is the prompt, and the answer is what the model's own is compared with.</summary>
public static class AnswerReader
{
    /// <summary>The rows of the training sources, as <c>trainer eval</c> asks them.</summary>
    /// <param name="options">Sources and rules; bad rows are dropped or end it as they say.</param>
    /// <param name="text">Tokenizer and templates of the model.</param>
    /// <param name="answer">The column that holds the answer; null takes the row's last turn, completion or output.</param>
    /// <param name="cancellation">Ends the work.</param>
    /// <exception cref="DataException">A row asks nothing, or has no answer; or a file cannot be read.</exception>
    public static IReadOnlyList<AnswerRow> Read(DataOptions options, ModelText text, string? answer, CancellationToken cancellation = default)
    {
        DatasetBuilder.Validate(options);
        var rows = Read(options, text, answer, DatasetBuilder.TrainEntries(options, []), null, cancellation);
        return rows.Count > 0 ? rows : throw new DataException("no row is left to answer: every one was dropped or the files are empty");
    }

    /// <summary>The first held-out rows of a run.</summary>
    /// <param name="options">Sources and rules.</param>
    /// <param name="text">Tokenizer and templates of the model.</param>
    /// <param name="heldOut">The held-out rows.</param>
    /// <param name="most">How many of them.</param>
    /// <param name="cancellation">Ends the work.</param>
    /// <exception cref="DataException">A row asks nothing, or has no answer.</exception>
    public static IReadOnlyList<AnswerRow> HeldOut(DataOptions options, ModelText text, ExampleSet heldOut, int most, CancellationToken cancellation = default)
    {
        var wanted = new HashSet<RowSource>();
        for (var row = 0; row < heldOut.Count && wanted.Count < most; row++) wanted.Add(heldOut.Source(row));
        List<InputEntry> files = [.. DatasetBuilder.EvalEntries(options, []), .. DatasetBuilder.TrainEntries(options, [])];
        return Read(options, text, null, files, wanted, cancellation);
    }

    private static List<AnswerRow> Read(DataOptions options, ModelText text, string? answer, List<InputEntry> files, HashSet<RowSource>? wanted,
        CancellationToken cancellation)
    {
        var encoder = text.Tools.Encoder(options);
        var rows = new List<AnswerRow>();
        foreach (var entry in files)
        {
            if (wanted is { Count: 0 }) break;
            using var input = InputFile.Open(entry.Path);
            foreach (var raw in RowReader.Read(input, Limits.Default, entry.Rows))
            {
                cancellation.ThrowIfCancellationRequested();
                if (wanted is { Count: 0 }) break;
                if (wanted?.Remove(raw.Source) is false) continue;
                try
                {
                    if (raw.Fault is { } broken) throw new BadRowException(broken.Kind, broken.Reason, broken.WayOut, broken.Column);
                    rows.Add(encoder.Question(raw, entry.Columns, answer));
                }
                catch (BadRowException fault)
                {
                    var told = new RowFault(raw.Source, fault.Column, fault.Kind, fault.Message, fault.WayOut);
                    if (!StoreMaker.Drops(options, fault.Kind)) throw new DataException(told.Message, fault);
                }
            }
        }
        return rows;
    }
}
