using Trainer.Data.Reading;
using Trainer.Data.Rows;
using Trainer.Data.Storage;

namespace Trainer.Data;

/// <summary>Answers what is in data files, for <c>data check</c>, <c>data show</c> and the plan.</summary>
public static class DataInspector
{
    internal static DataReport Check(DataOptions options, ITextEncoder tokenizer, IChatRenderer? chat, IProgress<DataProgress>? progress = null, CancellationToken cancellation = default) =>
        new Inspection(options, tokenizer, chat, progress, cancellation).Check(Files(options));

    internal static IEnumerable<ShownRow> Show(DataOptions options, ITextEncoder tokenizer, IChatRenderer? chat, CancellationToken cancellation = default) =>
        new Inspection(options, tokenizer, chat, null, cancellation).Show(Files(options));

    private static List<InputEntry> Files(DataOptions options)
    {
        if (options.Train.Count == 0) throw new DataException("no data: name a file or folder with --data");
        var files = new List<InputEntry>();
        for (var s = 0; s < options.Train.Count; s++)
            foreach (var file in DataFiles.Train(options.Train[s].Path)) files.Add(new InputEntry(file, s, options.Train[s].Columns));
        return files;
    }
}
