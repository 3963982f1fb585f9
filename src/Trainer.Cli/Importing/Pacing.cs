using Trainer.Training.Options;

namespace Trainer.Cli.Importing;

/// <summary>When other tools evaluate and save: by steps, by shares of all steps, or by epochs.</summary>
internal static class Pacing
{
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
            draft.Remove(RunSettings.LoadBest);
            foreach (var key in new[] { "evals_per_epoch", "eval_steps", "eval_strategy", "evaluation_strategy", "load_best_model_at_end" })
                if (draft.Theirs(key) is { } text && !ImportDraft.IsOff(text)) draft.Drop(key, text, "no rows are held out");
            return;
        }
        var strategy = draft.Theirs("eval_strategy") ?? draft.Theirs("evaluation_strategy");
        if (draft.Theirs("eval_steps") is { } steps && !ImportDraft.IsOff(steps)) draft.Take(RunSettings.EvalSteps, "eval_steps", steps);
        else if (Share(draft, "evals_per_epoch") is { } evals) draft.Set(RunSettings.EvalSteps, evals);
        else if (strategy != "no") draft.Default(RunSettings.EvalStrategy, "epoch");
        if (TakesBest(draft)) draft.Default(RunSettings.LoadBest, true);
    }

    /// <summary>Its rule (core/builders/causal.py): the best evaluation is the result unless it is told otherwise, where each save falls on an
    /// evaluation by its own numbers.</summary>
    private static bool TakesBest(ImportDraft draft)
    {
        double? Steps(string key, string counted) => draft.Theirs(key) is { } text ? ImportDraft.TryNumber(text, out var steps) ? steps : null
            : Raw(draft, counted);
        return draft[RunSettings.LoadBest] is not false && draft.Theirs("rl") is null && Steps("save_steps", "saves_per_epoch") is > 0 and { } saves
            && Steps("eval_steps", "evals_per_epoch") is > 0 and { } evals && saves % evals == 0;
    }

    private static void Saves(ImportDraft draft)
    {
        var strategy = draft.Theirs("save_strategy")?.ToLowerInvariant();
        if (strategy is "no" or "false") draft.Set(RunSettings.SaveSteps, 0.0);
        else if (strategy == "best") draft.Drop("save_strategy", "best", "the checkpoint of the best evaluation is always kept");
        else if (strategy == "epoch") draft.Set(RunSettings.SaveStrategy, "epoch");
        else if (draft.Theirs("save_steps") is { } steps) draft.Take(RunSettings.SaveSteps, "save_steps", steps);
    }

    /// <summary>The share of all steps that a count per epoch comes to; null where it is none, or once in the whole run.</summary>
    private static double? Share(ImportDraft draft, string key)
    {
        if (draft.Theirs(key) is not { } text) return null;
        if (!ImportDraft.TryNumber(text, out _)) draft.Change(key, text, "it is not a number");
        return Raw(draft, key) is { } share ? Math.Round(share, 6) : null;
    }

    private static double? Raw(ImportDraft draft, string key) =>
        draft.Theirs(key) is { } text && ImportDraft.TryNumber(text, out var times) && times * (draft.Number(StepSettings.Epochs) ?? 1) is > 1 and var all
            ? 1 / all : null;
}
