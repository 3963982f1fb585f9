using Trainer.Data;
using Trainer.Models.Config;
using Trainer.Models.Families;
using Trainer.Training.Objectives;
using Trainer.Training.Plan;
using Trainer.Training.Records;

namespace Trainer.Training;

/// <summary>Opens the data of a run with the tokenizer and the chat template of its model.</summary>
internal static class DataLoading
{
    /// <param name="options">Sources, rules, model.</param>
    /// <param name="events">Hears of progress.</param>
    /// <param name="day">What a template that writes the date is told: a resumed run's first day; null is today.</param>
    /// <param name="stop">Ends it early.</param>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static Dataset Open(TrainingOptions options, Events events, DateTime? day = null, CancellationToken stop = default)
    {
        var (config, folders) = (ConfigLoader.Load(options.ModelDirectory), options.FindText());
        var text = ModelText.Load(folders.Tokenizer, options.Data.ChatTemplateFile, config.VocabularySize, day, options.Data.TemplateVariables,
            folders.Template, options.ModelDirectory);
        foreach (var note in text.Notes) events.Warn(note);
        var dataset = DatasetBuilder.Build(options.Data with { Purpose = ObjectiveTable.Purpose(options.Objective) }, text, new Teller(events), stop);
        foreach (var note in dataset.Notes) events.Warn(note);
        SayWhereServersGoOn(dataset, text, config, events);
        if (PositionNote.Of(options.ModelDirectory, dataset.Statistics.LongestExample) is { } beyond) events.Warn(beyond);
        return dataset;
    }

    /// <summary>A server stops at the ids that the base's files name; an end of turn that is none of them is trained, and read over there.</summary>
    private static void SayWhereServersGoOn(Dataset dataset, ModelText text, ModelConfig config, Events events)
    {
        if (!dataset.Statistics.Files.Any(file => file.Kind is "chat" or "instruction")) return;
        var ends = text.TurnEnds.Except(config.EosIds).Select(id => $"'{text.Tokenizer!.TokenOf(id)}' ({id})").ToList();
        if (ends.Count == 0 || config.EosIds.Count == 0) return;
        events.Warn($"answers end with {string.Join(" and ", ends)}, at which the base does not stop "
            + $"(eos_token_id {string.Join(", ", config.EosIds)}): trainer stops there, "
            + "other programs go on unless the id is in eos_token_id of generation_config.json");
    }

    private sealed class Teller(Events events) : IProgress<DataProgress>
    {
        public void Report(DataProgress value) => events.Emit(new PhaseProgressed("tokenizing", value.BytesRead, value.BytesTotal));
    }
}
