using System.Diagnostics;
using System.Globalization;
using Serilog;
using Serilog.Core;
using Serilog.Events;
using Serilog.Formatting.Display;
using Trainer.Training;
using Trainer.Training.Options;
using Trainer.Training.Records;

namespace Trainer.Cli.Rendering;

/// <summary>A run as log lines: to trainer.log always, to the error stream where nothing is drawn in place.</summary>
internal sealed class RunLog : ITrainingObserver, IDisposable
{
    private const long MaxFileBytes = 16 << 20;
    private static readonly TimeSpan SlowPhase = TimeSpan.FromSeconds(2);
    private readonly Logger? _lines;
    private readonly string? _directory;
    private readonly List<Action<ILogger>> _before = [];
    private readonly RunHistory _history = new();
    private Logger? _file;
    private int _phasePercent;
    private string _phase = "";
    private long _phaseBegan;

    /// <param name="directory">The run folder, made by the run; lines before that are kept until it exists.</param>
    /// <param name="lines">Where plain lines go, or null for none.</param>
    /// <param name="least">Least level of the plain lines.</param>
    public RunLog(string? directory, TextWriter? lines, LogEventLevel least)
    {
        _directory = directory;
        if (lines is not null) _lines = new LoggerConfiguration().MinimumLevel.Is(least).WriteTo.Sink(new LineSink(lines)).CreateLogger();
    }

    public void On(TrainingEvent trainingEvent)
    {
        _history.On(trainingEvent);
        switch (trainingEvent)
        {
            case PhaseProgressed phase:
                OnPhase(phase);
                break;
            case Noted note when note.IsWarning:
                Log(log => log.Warning("{Text:l}", note.Text));
                break;
            case Noted note:
                Log(log => log.Information("{Text:l}", note.Text));
                break;
            case RunStarted s:
                OpenFile();
                Log(log => log.Information("training {Trainable:l} of {Total:l} parameters, steps {First} to {Last}", Quantities.Count(s.TrainableParameters),
                    Quantities.Count(s.TotalParameters), s.FirstStep + 1, s.MaxSteps));
                break;
            case StepDone { IsLogged: true } s:
                var left = _history.SecondsLeft() is { } seconds ? Quantities.Duration(seconds) : "?";
                Log(log => log.Information("step {Step}/{MaxSteps} loss {Loss:0.0000} lr {LearningRate:l} grad_norm {GradNorm:0.0000} tokens/s "
                    + "{TokensPerSecond:0} memory {Memory:l} epoch {Epoch:0.00} left {Left:l}{Measured:l}",
                    s.Step, _history.Started?.MaxSteps ?? s.Step, s.Loss, RunLines.Rate(s.LearningRate), s.GradNorm, s.TokensPerSecond,
                    Quantities.Bytes(s.MemoryBytes).Replace(" ", "", StringComparison.Ordinal), s.Epoch, left, Measured(s.Metrics)));
                break;
            case EvalDone e:
                Log(log => log.Information("eval at step {Step} loss {EvalLoss:0.0000}{Perplexity:l} trained tokens {TrainedTokens} in "
                    + "{Seconds:l}{Best:l}{Measured:l}",
                    e.Step, e.EvalLoss, e.IsOfTokens ? $" perplexity {RunLines.Number(Math.Exp(e.EvalLoss), "0.00")}" : "", e.TrainedTokens,
                    Quantities.Duration(e.Seconds), Verdict(e), Measured(e.Metrics)));
                break;
            case Sampled s:
                Log(log => log.Information("sample at step {Step}: {Prompt} -> {Text}", s.Step, s.Prompt, s.Text));
                break;
            case Saved { IsFinal: false } s:
                Log(log => log.Information("saved {Directory:l}", s.Directory));
                break;
            case RunEnded e:
                Log(log => log.Information("{Reason:l}: {Step} steps in {Elapsed:l}, mean loss of all steps {TrainLoss:0.0000}", e.Reason, e.Step,
                    Quantities.Duration(e.ElapsedSeconds), e.TrainLoss));
                break;
            default:
                break;
        }
    }

    // The base's own loss, told at step 0, is what an adapter must beat.
    private string Verdict(EvalDone eval) => _history.Evals.Count < 2
        ? "" : ReferenceEquals(_history.BestEval, eval) ? eval.Metric == EvalMetric.Loss ? ", the lowest so far" : $", the best {eval.Metric} so far"
        : _history.Evals[0].Step == 0 && eval.EvalLoss >= _history.Evals[0].EvalLoss ? ", no lower than the base" : "";

    private static string Measured(IReadOnlyDictionary<string, double> metrics) => string.Concat(RunLines.Measured(metrics).Select(part => " " + part));

    /// <summary>A phase in quarters, once it has taken long enough to be asked about.</summary>
    private void OnPhase(PhaseProgressed phase)
    {
        if (phase.Phase != _phase) (_phase, _phasePercent, _phaseBegan) = (phase.Phase, 0, Stopwatch.GetTimestamp());
        var percent = phase.Total > 0 ? (int)(100 * phase.Done / phase.Total) : 100;
        var isSlow = Stopwatch.GetElapsedTime(_phaseBegan) > SlowPhase;
        if (isSlow && percent / 25 != _phasePercent / 25)
        {
            _phasePercent = percent;
            Log(log => log.Information("{Phase:l} {Percent}%", phase.Phase, percent));
        }
        if (phase.Done >= phase.Total) _phase = "";
    }

    private void Log(Action<ILogger> write)
    {
        if (_lines is not null) write(_lines);
        if (_file is not null) write(_file);
        else if (_directory is not null) _before.Add(write);
    }

    private void OpenFile()
    {
        if (_file is not null || _directory is null) return;
        _file = new LoggerConfiguration().MinimumLevel.Debug().WriteTo.File(
            new SafeFormatter(new MessageTemplateTextFormatter("{Timestamp:yyyy-MM-dd HH:mm:ss.fff zzz} [{Level:u3}] {Message:lj}{NewLine}{Exception}",
            CultureInfo.InvariantCulture)),
            Path.Combine(_directory, "trainer.log"), fileSizeLimitBytes: MaxFileBytes, rollOnFileSizeLimit: true, retainedFileCountLimit: 5).CreateLogger();
        foreach (var write in _before) write(_file);
        _before.Clear();
    }

    /// <summary>Into the file alone; the error stream hears of it once, from whoever maps it to an exit code.</summary>
    public void Failed(Exception fault) => _file?.Error(fault, "{Message:l}", fault.Message);

    public void Dispose()
    {
        _file?.Dispose();
        _lines?.Dispose();
    }
}
