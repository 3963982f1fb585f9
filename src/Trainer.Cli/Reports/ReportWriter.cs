using System.Diagnostics;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Atomic;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Rendering;
using Trainer.Training;
using Trainer.Training.Options;

namespace Trainer.Cli.Reports;

/// <summary>Keeps report.html of a run up to date: at each evaluation and save, at the end, and every half minute between.</summary>
internal sealed class ReportWriter(string directory) : ITrainingObserver
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(30);
    private readonly RunHistory _history = new();
    private IReadOnlyList<double[]> _lengths = [];
    private long _written;
    private string? _stopped;

    public void On(TrainingEvent trainingEvent)
    {
        _history.On(trainingEvent);
        if (trainingEvent is DataOpened data)
            _lengths = [.. data.Statistics.Lengths.Where(bucket => bucket.Rows > 0).Select(bucket => new[] { bucket.To, (double)bucket.Rows })];
        switch (trainingEvent)
        {
            case RunStarted or StepDone when _written == 0 || Stopwatch.GetElapsedTime(_written) > Interval:
            case EvalDone or Saved or RunEnded:
                Write();
                break;
            default:
                break;
        }
    }

    /// <summary>The run has ended before its time: the page says so and no longer loads itself again.</summary>
    public void Stopped(string reason)
    {
        _stopped = reason.ReplaceLineEndings(" ");
        Write();
    }

    private void Write()
    {
        if (_history.Started is not { } started || !File.Exists(Path.Combine(directory, "metrics.jsonl"))) return;
        _written = Stopwatch.GetTimestamp();
        try
        {
            // From the rows on disk and not from memory: a resumed run's earlier part is there too.
            var run = RunReader.Read(directory) with
            {
                Lengths = _lengths,
                MaxSteps = started.MaxSteps,
                Warnings = [.. _history.Warnings.Select(warning => warning.Text)],
                Ended = _history.Ended is { } ended ? $"{ended.Reason}, {ended.Step} steps in {Quantities.Duration(ended.ElapsedSeconds)}" : _stopped,
            };
            var path = Path.Combine(directory, "report.html");
            AtomicFile.WriteText(path, ReportPage.Write([run], _history.Ended is null && _stopped is null));
        }
        catch (Exception fault) when (WriteFault.Covers(fault) || fault is CannotWriteException or CommandFailedException or BadFileException)
        {
            // A picture that cannot be drawn now must not end the run; the next one will tell the same.
        }
    }
}
