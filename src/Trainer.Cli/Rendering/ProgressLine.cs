using System.Diagnostics;
using Trainer.Training;

namespace Trainer.Cli.Rendering;

/// <summary>One line of progress for commands that are not runs: redrawn on a terminal, a line each quarter elsewhere.</summary>
internal sealed class ProgressLine(Terminal terminal, bool isQuiet)
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);
    private readonly Lock _lock = new();
    private long _drawn;
    private int _quarter = -1;
    private string _what = "";
    private string? _note;

    public void Show(string what, long done, long total, string? note = null)
    {
        if (isQuiet) return;
        lock (_lock)
        {
            if (note is not null && note != _note)
            {
                Clear();
                terminal.Error.WriteLine(note);
            }
            _note = note;
            if (what.Length == 0) return;
            if (terminal.IsLive)
            {
                if (_drawn != 0 && Stopwatch.GetElapsedTime(_drawn) < Interval && done < total) return;
                _drawn = Stopwatch.GetTimestamp();
                terminal.Error.Raw.Write("\r" + SafeText.Of(RunLines.PhaseLine(new PhaseProgressed(what, done, total), terminal.CurrentWidth() - 1,
                    terminal.HasUnicode)) + "\u001b[K");
                return;
            }
            var quarter = total > 0 ? (int)(4 * done / total) : 4;
            if (what == _what && quarter == _quarter) return;
            (_what, _quarter) = (what, quarter);
            terminal.Error.WriteLine($"{what} {(total > 0 ? 100 * done / total : 100)}%");
        }
    }

    public void Finish()
    {
        lock (_lock) Clear();
    }

    private void Clear()
    {
        if (terminal.IsLive && !isQuiet && _drawn != 0) terminal.Error.Raw.Write("\r\u001b[K");
    }
}
