using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Trainer.Cli.Rendering;
using Trainer.Training;
using Trainer.Training.State;

namespace Trainer.Cli.Reports.Wandb;

/// <summary>A run as W&amp;B's offline files, below its folder's wandb/: <c>wandb sync</c> sends them when and where the user wants, and nothing is sent from
/// here.</summary>
/// <param name="directory">Run folder.</param>
/// <param name="names">Whose run it is.</param>
/// <param name="recipe">The effective recipe.</param>
/// <param name="time">The clock.</param>
internal sealed class WandbWriter(string directory, WandbNames names, IReadOnlyList<KeyValuePair<string, object>> recipe, TimeProvider time)
    : ITrainingObserver, IDisposable
{
    // What belongs to one step is one row there, and an evaluation comes after its step.
    private readonly Dictionary<string, double> _row = [];
    private readonly SortedDictionary<string, double> _summary = new(StringComparer.Ordinal);
    private WandbLog? _log;
    private DateTimeOffset _began;
    private int _step = -1;
    private bool _isDone;

    /// <summary>Folder of W&B's files in a run folder.</summary>
    public static string FolderOf(string directory) => Path.Combine(directory, CurveFiles.WandbFolder);

    public void On(TrainingEvent trainingEvent)
    {
        if (trainingEvent is RunStarted started) Begin(started.FirstStep);
        var numbers = LoggedNumbers.Of(trainingEvent);
        if (trainingEvent is Saved or RunEnded || numbers.Count > 0 && LoggedNumbers.StepOf(trainingEvent) != _step) EndRow();
        if (numbers.Count > 0) _step = LoggedNumbers.StepOf(trainingEvent);
        _isDone |= trainingEvent is RunEnded;
        // What is known at the end is of the whole run and no row of its last step.
        foreach (var (tag, value) in numbers)
            if (double.IsFinite(value)) (_isDone ? _summary : (IDictionary<string, double>)_row)[tag] = value;
    }

    public void Dispose()
    {
        if (_log is null) return;
        try
        {
            EndRow();
            _log.Write(record => record.Message(3, summary => Items(summary, _summary)));
            _log.Write(record => record.Message(18, exit =>
            {
                exit.Integer(1, _isDone ? 0 : 1);
                exit.Integer(2, (long)Runtime);
            }));
        }
        catch (Checkpoints.CannotWriteException)
        {
            // A full disk has ended the run already, or will with the next checkpoint.
        }
        _log.Dispose();
    }

    private double Runtime => (time.GetUtcNow() - _began).TotalSeconds;

    private void Begin(int firstStep)
    {
        _began = time.GetUtcNow();
        var folder = FolderOf(directory);
        // A resumed run is the same run there, in a file of its own.
        var earlier = firstStep > 0 && Directory.Exists(folder)
            ? Directory.GetDirectories(folder, CurveFiles.WandbRun + "*").Select(path => path[(path.LastIndexOf('-') + 1)..]).Order(StringComparer.Ordinal)
            .FirstOrDefault() : null;
        var id = earlier ?? RandomNumberGenerator.GetString("abcdefghijklmnopqrstuvwxyz0123456789", 8);
        var path = Enumerable.Range(0, int.MaxValue).Select(seconds => Path.Combine(folder, string.Create(CultureInfo.InvariantCulture,
            $"{CurveFiles.WandbRun}{_began.AddSeconds(seconds):yyyyMMdd_HHmmss}-{id}"))).First(candidate => !Directory.Exists(candidate));
        _log = new WandbLog(Path.Combine(path, $"run-{id}.wandb"));
        _log.Write(record => record.Message(17, run =>
        {
            run.Text(1, id);
            if (names.Entity is { } entity) run.Text(2, entity);
            run.Text(3, names.Project);
            run.Message(4, config =>
            {
                foreach (var (key, value) in recipe) config.Message(1, item => Item(item, key, JsonSerializer.Serialize(value, Json.Compact)));
            });
            if (names.Group is { } group) run.Text(6, group);
            run.Text(8, names.Name ?? Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(directory))));
            foreach (var tag in names.Tags) run.Text(10, tag);
            if (firstStep > 0) run.Integer(14, firstStep);
            run.Message(17, stamp => stamp.Integer(1, _began.ToUnixTimeSeconds()));
            if (firstStep > 0) run.Integer(18, 1);
        }));
    }

    private void EndRow()
    {
        if (_row.Count == 0) return;
        (_row["train/global_step"], _row["_step"], _row["_runtime"]) = (_step, _step, Math.Round(Runtime, 3));
        _row["_timestamp"] = time.GetUtcNow().ToUnixTimeMilliseconds() / 1000.0;
        _log?.Write(record => record.Message(2, history =>
        {
            Items(history, _row);
            history.Message(2, step => step.Integer(1, _step));
        }));
        foreach (var (tag, value) in _row) _summary[tag] = value;
        _row.Clear();
    }

    private static void Items(ProtoMessage message, IEnumerable<KeyValuePair<string, double>> values)
    {
        foreach (var (tag, value) in values) message.Message(1, item => Item(item, tag, value.ToString("R", CultureInfo.InvariantCulture)));
    }

    private static void Item(ProtoMessage item, string key, string json)
    {
        item.Text(1, key);
        item.Text(16, json);
    }
}
