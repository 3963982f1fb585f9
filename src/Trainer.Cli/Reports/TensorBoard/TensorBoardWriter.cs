using Trainer.Training;

namespace Trainer.Cli.Reports.TensorBoard;

/// <summary>A run as TensorBoard events, with the tags that transformers writes.</summary>
internal sealed class TensorBoardWriter(string directory, string recipe, TimeProvider time) : ITrainingObserver, IDisposable
{
    private EventFile? _file;

    public void On(TrainingEvent trainingEvent)
    {
        switch (trainingEvent)
        {
            case RunStarted started:
                // An earlier part of the run, also one that was killed before its first checkpoint, has left a file.
                var isLater = Directory.Exists(directory) && Directory.EnumerateFiles(directory, "events.out.tfevents.*").Any();
                _file ??= new EventFile(directory, time);
                // The reader forgets what came at this step and after it; the checkpoint's own step is kept.
                if (isLater) _file.Restart(started.FirstStep == 0 ? 0 : started.FirstStep + 1);
                // Markdown's code block: indented by four.
                _file.Note(0, "args", "    " + recipe.ReplaceLineEndings("\n    "));
                break;
            case StepDone { IsLogged: true } s:
                _file?.Scalar(s.Step, ("train/loss", s.Loss), ("train/grad_norm", s.GradNorm), ("train/learning_rate", s.LearningRate),
                    ("train/epoch", s.Epoch),
                    ("train/tokens_per_second", s.TokensPerSecond), ("train/memory_bytes", s.MemoryBytes));
                if (s.Metrics.Count > 0) _file?.Scalar(s.Step, [.. s.Metrics.Select(pair => ("train/" + pair.Key, pair.Value))]);
                break;
            case EvalDone e:
                _file?.Scalar(e.Step, ("eval/loss", e.EvalLoss), ("eval/runtime", e.Seconds));
                if (e.IsOfTokens) _file?.Scalar(e.Step, ("eval/perplexity", Math.Exp(e.EvalLoss)));
                if (e.Metrics.Count > 0) _file?.Scalar(e.Step, [.. e.Metrics.Select(pair => ("eval/" + pair.Key, pair.Value))]);
                _file?.Flush();
                break;
            case Sampled s:
                _file?.Note(s.Step, "samples", $"**{s.Prompt}**\n\n{s.Text}");
                break;
            case Saved:
                _file?.Flush();
                break;
            case RunEnded e:
                _file?.Scalar(e.Step, ("train/train_loss", e.TrainLoss), ("train/train_runtime", e.ElapsedSeconds));
                _file?.Flush();
                break;
            default:
                break;
        }
    }

    public void Dispose() => _file?.Dispose();
}
