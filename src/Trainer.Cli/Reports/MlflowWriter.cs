using System.Collections.Concurrent;
using System.Text.Json;
using Trainer.Checkpoints.Atomic;
using Trainer.Hub;
using Trainer.Hub.Mlflow;
using Trainer.Training;

namespace Trainer.Cli.Reports;

/// <summary>A run in an MLflow server. It works beside the run: a server that is slow, away or angry ends the logging and never the run.</summary>
internal sealed class MlflowWriter : ITrainingObserver, IDisposable
{
    private const string IdFile = "mlflow.json";

    // How long the end of a run waits for a slow server.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly MlflowOptions _options;
    private readonly string _directory;
    private readonly IReadOnlyList<KeyValuePair<string, string>> _parameters;
    private readonly TimeProvider _time;
    private readonly Action<string> _warn;
    private readonly BlockingCollection<TrainingEvent> _events = new(10_000);
    private readonly MlflowClient _client;
    private readonly Task _work;
    private string? _fault;

    /// <param name="options">Where and who.</param>
    /// <param name="directory">Run folder, which keeps the id for a resumed run.</param>
    /// <param name="parameters">The effective recipe.</param>
    /// <param name="time">The clock.</param>
    /// <param name="warn">Hears of a failure when the run has ended.</param>
    public MlflowWriter(MlflowOptions options, string directory, IReadOnlyList<KeyValuePair<string, string>> parameters, TimeProvider time, Action<string> warn)
    {
        (_options, _directory, _parameters, _time, _warn) = (options, directory, parameters, time, warn);
        _client = new MlflowClient(options, Patience);
        _work = Task.Run(WorkAsync);
    }

    public void On(TrainingEvent trainingEvent)
    {
        if (trainingEvent is RunStarted or StepDone { IsLogged: true } or EvalDone or RunEnded && _fault is null) _events.TryAdd(trainingEvent);
    }

    public void Dispose()
    {
        _events.CompleteAdding();
        if (!_work.Wait(Patience)) _fault ??= $"the MLflow server {_options} is too slow";
        if (_fault is { } fault) _warn($"{fault}; the run's numbers are in metrics.jsonl");
        _client.Dispose();
        if (_work.IsCompleted) _events.Dispose();
    }

    private async Task WorkAsync()
    {
        try
        {
            await SendAsync().ConfigureAwait(false);
        }
        catch (Exception fault) when (fault is NotAvailableException or IOException or UnauthorizedAccessException)
        {
            _fault = fault.Message;
        }
    }

    private async Task SendAsync()
    {
        string? run = null;
        var isDone = false;
        foreach (var first in _events.GetConsumingEnumerable())
        {
            if (first is RunStarted started) run = await BeginAsync(started.FirstStep > 0).ConfigureAwait(false);
            if (run is null) continue;
            // What has come meanwhile goes along in one request.
            var metrics = Metrics(first).ToList();
            isDone |= first is RunEnded;
            while (metrics.Count < 500 && _events.TryTake(out var next))
            {
                metrics.AddRange(Metrics(next));
                isDone |= next is RunEnded;
            }
            if (metrics.Count > 0) await _client.MetricsAsync(run, metrics).ConfigureAwait(false);
        }
        if (run is not null) await _client.StatusAsync(run, isDone ? "FINISHED" : "KILLED", Now).ConfigureAwait(false);
    }

    private long Now => _time.GetUtcNow().ToUnixTimeMilliseconds();

    private async Task<string> BeginAsync(bool isResumed)
    {
        var path = Path.Combine(_directory, IdFile);
        if (isResumed && Earlier(path) is { } earlier)
        {
            await _client.StatusAsync(earlier, "RUNNING", null).ConfigureAwait(false);
            return earlier;
        }
        var run = await _client.BeginAsync(_options.Experiment,
            _options.RunName ?? Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(_directory))), Now).ConfigureAwait(false);
        Checkpoints.Atomic.AtomicFile.WriteText(path, JsonSerializer.Serialize(new { uri = _options.ToString(), run_id = run }) + "\n");
        await _client.ParametersAsync(run, _parameters).ConfigureAwait(false);
        return run;
    }

    private string? Earlier(string path)
    {
        if (!File.Exists(path)) return null;
        try
        {
            using var kept = JsonDocument.Parse(SmallFile.Bytes(path));
            return kept.RootElement.GetProperty("uri").GetString() == _options.ToString() ? kept.RootElement.GetProperty("run_id").GetString() : null;
        }
        catch (Exception fault) when (fault is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return null;
        }
    }

    private IEnumerable<(string Key, double Value, long Milliseconds, long Step)> Metrics(TrainingEvent trainingEvent)
    {
        var now = Now;
        foreach (var (key, value) in LoggedNumbers.Of(trainingEvent))
            if (double.IsFinite(value)) yield return (key, value, now, LoggedNumbers.StepOf(trainingEvent));
    }
}
