using System.Text.Json;
using Trainer.Data.Reading;
using Trainer.Data.Rows;
using Trainer.Data.Storage;

namespace Trainer.Data.Prompts;

/// <summary>The rows that prompts come from, with all their columns: what a reward program may want to know of them.</summary>
public static class PromptRows
{
    /// <summary>Each row of the given examples, as JSON.</summary>
    /// <param name="options">The sources that they were read from.</param>
    /// <param name="examples">The examples.</param>
    /// <param name="cancellation">Ends the work.</param>
    /// <exception cref="DataException">A row can no longer be read.</exception>
    public static IReadOnlyDictionary<RowSource, JsonElement> Read(DataOptions options, IEnumerable<ExampleSet> examples,
        CancellationToken cancellation = default)
        => Read(options, examples.SelectMany(set => Enumerable.Range(0, set.Count).Select(set.Source)), cancellation);

    /// <summary>The named rows, as JSON.</summary>
    /// <param name="options">The sources that they were read from.</param>
    /// <param name="sources">Their files and lines.</param>
    /// <param name="cancellation">Ends the work.</param>
    /// <exception cref="DataException">A row can no longer be read.</exception>
    public static IReadOnlyDictionary<RowSource, JsonElement> Read(DataOptions options, IEnumerable<RowSource> sources,
        CancellationToken cancellation = default)
    {
        var wanted = sources.ToHashSet();
        var rows = new Dictionary<RowSource, JsonElement>();
        List<InputEntry> files = [.. DatasetBuilder.TrainEntries(options, []), .. DatasetBuilder.EvalEntries(options, [])];
        foreach (var entry in files)
        {
            using var input = InputFile.Open(entry.Path);
            foreach (var raw in RowReader.Read(input, Limits.Default, entry.Rows))
            {
                cancellation.ThrowIfCancellationRequested();
                if (rows.Count == wanted.Count) return rows;
                if (!wanted.Contains(raw.Source) || rows.ContainsKey(raw.Source)) continue;
                try
                {
                    rows.Add(raw.Source, RowParser.Parse(raw).Clone());
                }
                catch (BadRowException fault)
                {
                    throw new DataException(new RowFault(raw.Source, fault.Column, fault.Kind, fault.Message, fault.WayOut).Message, fault);
                }
            }
        }
        return rows;
    }
}
