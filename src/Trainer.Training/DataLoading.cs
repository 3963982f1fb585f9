using Trainer.Data;
using Trainer.Models;
using Trainer.Tokenizers;

namespace Trainer.Training;

/// <summary>Opens the data of a run with the tokenizer of its model.</summary>
internal static class DataLoading
{
    public static Dataset Open(TrainingOptions options, Events events)
    {
        var directory = options.ModelDirectory;
        var hasTokenizer = File.Exists(Path.Combine(directory, "tokenizer.json")) || File.Exists(Path.Combine(directory, "tokenizer.model"));
        var tokenizer = hasTokenizer ? HfTokenizer.Load(directory) : null;
        var vocabulary = ModelConfig.Load(directory).VocabularySize;
        return DatasetBuilder.Build(options.Data, tokenizer, vocabulary, new Teller(events));
    }

    private sealed class Teller(Events events) : IProgress<DataProgress>
    {
        public void Report(DataProgress value) => events.Emit(new PhaseProgressed("tokenizing", value.BytesRead, value.BytesTotal));
    }
}
