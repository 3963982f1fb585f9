using System.Globalization;
using System.Text;
using Trainer.Models.Families;
using Trainer.Training.State;

namespace Trainer.Training.Steps;

/// <summary>README.md of the adapter: the model card that hubs and readers expect, with what was done.</summary>
internal static class ModelCard
{
    /// <summary>The card.</summary>
    /// <param name="options">The run.</param>
    /// <param name="state">Where it ended.</param>
    /// <param name="taken">The step whose values the adapter holds: the last, or after early stopping the best.</param>
    public static string Text(TrainingOptions options, RunState state, int taken)
    {
        var card = new StringBuilder();
        var rank = options.Lora.Rank;
        card.Append("---\n");
        card.Append($"base_model: {options.Model}\n");
        card.Append("library_name: peft\npipeline_tag: text-generation\ntags:\n- lora\n- trainer\n---\n\n");
        card.Append($"# LoRA adapter for {options.Model}\n\n");
        card.Append($"Trained for {state.Step} optimizer steps on {Number(state.TrainedTokens)} trained tokens of {Number(state.Tokens)}.\n\n");
        card.Append("| | |\n| --- | --- |\n");
        if (options.AdapterDirectory is null)
        {
            card.Append($"| rank, alpha, dropout | {rank}, {Number(options.Lora.EffectiveAlpha)}, {Number(options.Lora.Dropout)} |\n");
            card.Append($"| modules | {string.Join(", ", options.Lora.TargetModules)} |\n");
        }
        if (options.Lora.AddTokens is not null)
            card.Append($"| new tokens | in the tokenizer beside this file; where the base has fewer rows, "
                + $"`model.resize_token_embeddings({ConfigLoader.Load(options.ModelDirectory).VocabularySize})` comes before the adapter |\n");
        card.Append($"| base held as | {options.Quantize.ToString().ToLowerInvariant()} |\n");
        card.Append($"| learning rate, schedule | {Number(options.LearningRate)}, {options.LrScheduler} |\n");
        card.Append($"| batch x accumulation | {options.BatchSize} x {options.GradientAccumulationSteps} |\n");
        card.Append($"| seed | {options.Seed} |\n");
        if (state.Step > 0) card.Append($"| mean training loss | {Number(Math.Round(state.LossSum / state.Step, 4))} |\n");
        card.Append($"| values | of step {taken}{(taken == state.Step ? ", the last" : ", the best")} |\n");
        if (state.BestEvalLoss is { } best) card.Append($"| best held-out loss | {Number(Math.Round(best, 4))} (step {state.BestStep}) |\n");
        card.Append("\n`run.json` beside this file holds the hashes of base, data, tokenizer and template, and every option; `trainer reproduce run.json` "
            + "makes the same bytes again.\n");
        return card.ToString();
    }

    private static string Number(double value) => value.ToString(CultureInfo.InvariantCulture);
}
