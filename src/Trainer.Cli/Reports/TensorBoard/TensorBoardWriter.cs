using Trainer.Training;
using Trainer.Training.State;

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
                var isLater = Directory.Exists(directory) && Directory.EnumerateFiles(directory, CurveFiles.Events).Any();
                _file ??= new EventFile(directory, time);
                // The reader forgets what came at this step and after it; the checkpoint's own step is kept.
                if (isLater) _file.Restart(started.FirstStep == 0 ? 0 : started.FirstStep + 1);
                // Markdown's code block: indented by four.
                _file.Note(0, "args", "    " + recipe.ReplaceLineEndings("\n    "));
                break;
            case Sampled s:
                _file?.Note(s.Step, "samples", $"**{s.Prompt}**\n\n{s.Text}");
                break;
            case Saved:
                _file?.Flush();
                break;
            default:
                if (LoggedNumbers.Of(trainingEvent) is { Count: > 0 } numbers) _file?.Scalar(LoggedNumbers.StepOf(trainingEvent), [.. numbers]);
                if (trainingEvent is EvalDone or RunEnded) _file?.Flush();
                break;
        }
    }

    public void Dispose() => _file?.Dispose();
}
