using Serilog.Events;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Reports;
using Trainer.Cli.Reports.TensorBoard;
using Trainer.Training;
using Trainer.Training.State;

namespace Trainer.Cli.Rendering;

/// <summary>Everyone who watches a run from here: panel or lines, log file, TensorBoard, report page, recipe.</summary>
internal sealed class RunView : IDisposable
{
    private readonly LivePanel? _panel;
    private readonly RunLog _log;
    private readonly List<ITrainingObserver> _observers;

    /// <param name="invocation">Terminal and the wish for more or less words.</param>
    /// <param name="title">Shown on the panel.</param>
    /// <param name="directory">Run folder, or null where nothing is kept.</param>
    /// <param name="recipe">The recipe that makes the run again.</param>
    /// <param name="reportTo">tensorboard, html.</param>
    public RunView(Invocation invocation, string title, string? directory, string recipe, IReadOnlyList<string> reportTo)
    {
        var terminal = invocation.Terminal;
        if (terminal.IsLive && !invocation.Quiet) _panel = new LivePanel(terminal, title);
        var least = invocation.Quiet ? LogEventLevel.Warning : invocation.Verbose ? LogEventLevel.Debug : LogEventLevel.Information;
        _log = new RunLog(directory, _panel is null ? terminal.Error : null, least);
        _observers = [History, _log];
        if (_panel is not null) _observers.Add(_panel);
        if (directory is not null) _observers.AddRange(Writers(directory, recipe, reportTo));
        _observers.Add(new StopWords(invocation.Stop));
        invocation.Stop.Leave = () => _panel?.Finish();
        invocation.Stop.Watch(say: text =>
        {
            if (_panel is not null) _panel.Say(text);
            else if (!invocation.Quiet) terminal.Error.WriteLine(text);
        });
    }

    /// <summary>Who writes into a run folder what the run itself does not.</summary>
    /// <param name="directory">Run folder.</param>
    /// <param name="recipe">The recipe that makes the run again.</param>
    /// <param name="reportTo">tensorboard, html.</param>
    public static IEnumerable<ITrainingObserver> Writers(string directory, string recipe, IReadOnlyList<string> reportTo)
    {
        yield return new RecipeWriter(directory, recipe);
        if (reportTo.Contains("tensorboard"))
            yield return new TensorBoardWriter(Path.Combine(directory, CurveFiles.EventsFolder), recipe, TimeProvider.System);
        if (reportTo.Contains("html")) yield return new ReportWriter(directory);
    }

    /// <summary>One more who watches; disposed with the others.</summary>
    public void Add(ITrainingObserver observer) => _observers.Add(observer);

    public RunHistory History { get; } = new();

    public IReadOnlyList<ITrainingObserver> Observers => _observers;

    public T Run<T>(Func<T> body)
    {
        try
        {
            return body();
        }
        catch (Exception fault)
        {
            _log.Failed(fault);
            foreach (var report in _observers.OfType<ReportWriter>()) report.Stopped(fault.Message);
            throw;
        }
        finally
        {
            _panel?.Finish();
        }
    }

    public void Dispose()
    {
        foreach (var observer in _observers.OfType<IDisposable>()) observer.Dispose();
    }
}
