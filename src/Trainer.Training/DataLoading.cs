using Trainer.Data;
using Trainer.Engine;
using Trainer.Models;
using Trainer.Training.Objectives;

namespace Trainer.Training;

/// <summary>Opens the data of a run with the tokenizer and the chat template of its model.</summary>
internal static class DataLoading
{
    /// <param name="options">Sources, rules, model.</param>
    /// <param name="events">Hears of progress.</param>
    /// <param name="day">What a template that writes the date is told: a resumed run's first day; null is today.</param>
    public static Dataset Open(TrainingOptions options, Events events, DateTime? day = null)
    {
        var directory = options.ModelDirectory;
        var text = ModelText.Load(directory, options.Data.ChatTemplateFile, ModelConfig.Load(directory).VocabularySize, day, options.Data.TemplateVariables);
        return DatasetBuilder.Build(options.Data with { Purpose = ObjectiveTable.Purpose(options.Objective) }, text, new Teller(events));
    }

    private sealed class Teller(Events events) : IProgress<DataProgress>
    {
        public void Report(DataProgress value) => events.Emit(new PhaseProgressed("tokenizing", value.BytesRead, value.BytesTotal));
    }
}
