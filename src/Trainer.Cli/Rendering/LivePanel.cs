using System.Diagnostics;
using Spectre.Console;
using Spectre.Console.Rendering;
using Trainer.Training;

namespace Trainer.Cli.Rendering;

/// <summary>A run drawn in place on a terminal; notes scroll away above it.</summary>
internal sealed class LivePanel : ITrainingObserver
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);
    private readonly IAnsiConsole _console;
    private readonly Terminal _terminal;
    private readonly string _title;
    private readonly RunHistory _history = new();
    private readonly Lock _lock = new();
    private LiveDisplayContext? _context;
    private long _drawn;

    public LivePanel(Terminal terminal, string title)
    {
        _terminal = terminal;
        _title = title;
        _console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = AnsiSupport.Yes,
            Interactive = InteractionSupport.Yes,
            ColorSystem = terminal.HasColour ? ColorSystemSupport.Standard : ColorSystemSupport.NoColors,
            Out = new AnsiConsoleOutput(terminal.Error),
        });
        _console.Profile.Width = terminal.Width;
        _console.Profile.Capabilities.Unicode = terminal.HasUnicode;
    }

    /// <summary>Runs <paramref name="body"/> with the panel below its notes.</summary>
    public void Run(Action body) => _console.Live(Draw()).AutoClear(false).Start(context =>
    {
        _context = context;
        try
        {
            body();
        }
        finally
        {
            Redraw();
            _context = null;
        }
    });

    public void Say(string text)
    {
        lock (_lock) _console.WriteLine(text);
    }

    public void On(TrainingEvent trainingEvent)
    {
        lock (_lock)
        {
            _history.On(trainingEvent);
            if (trainingEvent is Noted note)
                _console.WriteLine((note.IsWarning ? "warning: " : "") + note.Text, note.IsWarning && _terminal.HasColour ? new Style(Color.Yellow) : Style.Plain);
            var isFrequent = trainingEvent is StepDone || trainingEvent is PhaseProgressed phase && phase.Done < phase.Total;
            if (isFrequent && _drawn != 0 && Stopwatch.GetElapsedTime(_drawn) < Interval) return;
            Redraw();
        }
    }

    private void Redraw()
    {
        if (_context is null) return;
        _drawn = Stopwatch.GetTimestamp();
        _context.UpdateTarget(Draw());
        _context.Refresh();
    }

    private IRenderable Draw()
    {
        _console.Profile.Width = _terminal.CurrentWidth();
        var width = Math.Max(20, _console.Profile.Width - 4);
        var lines = RunLines.Panel(_history, width, _terminal.HasUnicode);
        if (lines.Count == 0) return new Text("");
        return new Panel(new Rows(lines.Select(line => new Text(line))))
        {
            // Of a path that does not fit, its end says more.
            Header = new PanelHeader($" {Markup.Escape(_title.Length <= width - 2 ? _title : _title[(_title.LastIndexOf('/') + 1)..])} "),
            Border = _terminal.HasUnicode ? BoxBorder.Rounded : BoxBorder.Ascii,
            Expand = true,
        };
    }
}
