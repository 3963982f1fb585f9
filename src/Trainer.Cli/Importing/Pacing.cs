using Trainer.Training.Options;

namespace Trainer.Cli.Importing;

/// <summary>When other tools evaluate and save: by steps, by shares of all steps, or by epochs.</summary>
internal static class Pacing
{
    private const string Best = "the last step's adapter is the result, unless early_stopping_patience is set";

    /// <summary>transformers' TrainingArguments, as LLaMA-Factory, TRL and Unsloth hand them on.</summary>
    public static void TrainingArguments(ImportDraft draft)
    {
        var strategy = (draft.Theirs("eval_strategy") ?? draft.Theirs("evaluation_strategy"))?.ToLowerInvariant();
        if (strategy is null or "no" or "false")
        {
            if (draft.Theirs("eval_steps") is { } unused)
                draft.Drop("eval_steps", unused, "without eval_strategy nothing is evaluated between the first and the last step");
        }
        else if (strategy == "epoch") draft.Set(RunSettings.EvalStrategy, "epoch");
        else if (draft.Theirs("eval_steps") is { } steps) draft.Take(RunSettings.EvalSteps, "eval_steps", steps);
        else draft.Default(RunSettings.EvalSteps, draft.Number(RunSettings.LoggingSteps) ?? 500);
        Saves(draft);
        if (!draft.Has(RunSettings.SaveStrategy)) draft.Default(RunSettings.SaveSteps, 500.0);
    }

    /// <summary>axolotl: times in an epoch are a share of all steps there; where nothing is said, once an epoch.</summary>
    public static void Axolotl(ImportDraft draft)
    {
        if (draft.Theirs("save_steps") is null && Share(draft, "saves_per_epoch") is { } saves) draft.Set(RunSettings.SaveSteps, saves);
        else Saves(draft);
        if (!draft.Has(RunSettings.SaveSteps)) draft.Default(RunSettings.SaveStrategy, "epoch");
        var holdsOut = draft.Has(DataSettings.EvalData) || draft.Number(DataSettings.EvalSplit) > 0;
        if (!holdsOut)
        {
            foreach (var key in new[] { "evals_per_epoch", "eval_steps", "eval_strategy", "evaluation_strategy" })
                if (draft.Theirs(key) is { } text && !ImportDraft.IsOff(text)) draft.Drop(key, text, "no rows are held out");
            return;
        }
        var strategy = draft.Theirs("eval_strategy") ?? draft.Theirs("evaluation_strategy");
        if (draft.Theirs("eval_steps") is { } steps && !ImportDraft.IsOff(steps)) draft.Take(RunSettings.EvalSteps, "eval_steps", steps);
        else if (Share(draft, "evals_per_epoch") is { } evals) draft.Set(RunSettings.EvalSteps, evals);
        else if (strategy != "no") draft.Default(RunSettings.EvalStrategy, "epoch");
    }

    private static void Saves(ImportDraft draft)
    {
        var strategy = draft.Theirs("save_strategy")?.ToLowerInvariant();
        if (strategy is "no" or "false") draft.Set(RunSettings.SaveSteps, 0.0);
        else if (strategy == "best") draft.Change("save_strategy", "best", Best);
        else if (strategy == "epoch") draft.Set(RunSettings.SaveStrategy, "epoch");
        else if (draft.Theirs("save_steps") is { } steps) draft.Take(RunSettings.SaveSteps, "save_steps", steps);
    }

    /// <summary>The share of all steps that a count per epoch comes to; null where it is none, or once in the whole run.</summary>
    private static double? Share(ImportDraft draft, string key)
    {
        if (draft.Theirs(key) is not { } text) return null;
        var epochs = draft.Number(StepSettings.Epochs) ?? 1;
        if (!ImportDraft.TryNumber(text, out var times)) draft.Change(key, text, "it is not a number");
        return times * epochs > 1 ? Math.Round(1 / (times * epochs), 6) : null;
    }
}
