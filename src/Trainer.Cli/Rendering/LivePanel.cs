using System.Diagnostics;
using Trainer.Training;

namespace Trainer.Cli.Rendering;

/// <summary>A run drawn in place on a terminal; notes scroll away above it.</summary>
internal sealed class LivePanel(Terminal terminal, string title) : ITrainingObserver
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);
    private const int Yellow = 33;
    private readonly LiveRegion _region = new(terminal);
    private readonly RunHistory _history = new();
    private readonly Lock _lock = new();
    private long _drawn;

    public void Say(string text)
    {
        lock (_lock) _region.Say(text);
    }

    public void On(TrainingEvent trainingEvent)
    {
        lock (_lock)
        {
            _history.On(trainingEvent);
            if (trainingEvent is Noted note)
                _region.Say(note.IsWarning ? $"warning: {note.Text}" : note.Text, note.IsWarning && terminal.HasColour ? Yellow : null);
            var isFrequent = trainingEvent is StepDone || trainingEvent is PhaseProgressed phase && phase.Done < phase.Total;
            if (isFrequent && _drawn != 0 && Stopwatch.GetElapsedTime(_drawn) < Interval) return;
            Redraw();
        }
    }

    /// <summary>Draws what came since the last drawing; the panel then stays.</summary>
    public void Finish()
    {
        lock (_lock) Redraw();
    }

    private void Redraw()
    {
        _drawn = Stopwatch.GetTimestamp();
        var width = Math.Max(24, terminal.CurrentWidth());
        var lines = RunLines.Panel(_history, width - 4, terminal.HasUnicode);
        _region.Draw(lines.Count == 0 ? [] : PanelFrame.Around(lines, title, width, terminal.HasUnicode));
    }
}
