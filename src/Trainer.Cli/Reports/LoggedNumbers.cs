using Trainer.Training;

namespace Trainer.Cli.Reports;

/// <summary>The numbers of a run by the names that transformers gives them, for every tool that draws curves of them.</summary>
internal static class LoggedNumbers
{
    /// <summary>What an event measures; nothing for events without numbers and for steps that are not logged.</summary>
    public static IReadOnlyList<(string Tag, double Value)> Of(TrainingEvent trainingEvent) => trainingEvent switch
    {
        StepDone { IsLogged: true } s =>
        [
            ("train/loss", s.Loss), ("train/grad_norm", s.GradNorm), ("train/learning_rate", s.LearningRate), ("train/epoch", s.Epoch),
            ("train/tokens_per_second", s.TokensPerSecond), ("train/memory_bytes", s.MemoryBytes),
            .. s.Metrics.Select(pair => ("train/" + pair.Key, pair.Value)),
        ],
        EvalDone e =>
        [
            ("eval/loss", e.EvalLoss), ("eval/runtime", e.Seconds),
            .. e.IsOfTokens ? [("eval/perplexity", Math.Exp(e.EvalLoss))] : Array.Empty<(string, double)>(),
            .. e.Metrics.Select(pair => ("eval/" + pair.Key, pair.Value)),
        ],
        RunEnded e => [("train/train_loss", e.TrainLoss), ("train/train_runtime", e.ElapsedSeconds)],
        _ => [],
    };

    /// <summary>Optimizer steps made when the event happened; 0 for events that are of no step.</summary>
    public static int StepOf(TrainingEvent trainingEvent) => trainingEvent switch
    {
        StepDone s => s.Step,
        EvalDone e => e.Step,
        RunEnded e => e.Step,
        _ => 0,
    };
}
