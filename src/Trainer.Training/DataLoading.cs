using Trainer.Data;
using Trainer.Models;

namespace Trainer.Training;

/// <summary>Opens the data of a run with the tokenizer and the chat template of its model.</summary>
internal static class DataLoading
{
    public static Dataset Open(TrainingOptions options, Events events)
    {
        var directory = options.ModelDirectory;
        var text = ModelText.Load(directory, options.Data.ChatTemplateFile, ModelConfig.Load(directory).VocabularySize);
        return DatasetBuilder.Build(options.Data, text, new Teller(events));
    }

    private sealed class Teller(Events events) : IProgress<DataProgress>
    {
        public void Report(DataProgress value) => events.Emit(new PhaseProgressed("tokenizing", value.BytesRead, value.BytesTotal));
    }
}
