using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Atomic;
using Trainer.Training.Records;

namespace Trainer.Training.State;

/// <summary>
/// Writes metrics.jsonl, one row per logged step, evaluation and sample. A checkpoint remembers the file's length;
/// a resumed run cuts the file there, so that its rows are those of a run that never stopped.
/// </summary>
public sealed class MetricsWriter : ITrainingObserver, IDisposable
{
    /// <summary>The file's name in the run folder.</summary>
    public const string FileName = "metrics.jsonl";

    private readonly FileStream _file;
    private readonly string _path;

    /// <summary>Opens the file and drops everything behind the given length.</summary>
    /// <param name="path">The file; made where absent.</param>
    /// <param name="length">Bytes to keep.</param>
    /// <exception cref="CannotWriteException">The file cannot be opened for writing.</exception>
    public MetricsWriter(string path, long length = 0)
    {
        _path = path;
        try
        {
            _file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.Read);
            _file.SetLength(Math.Min(length, _file.Length));
            _file.Seek(0, SeekOrigin.End);
        }
        catch (Exception fault) when (WriteFault.Covers(fault))
        {
            _file?.Dispose();
            throw Refused(fault);
        }
    }

    /// <summary>Opens the run's metrics where its checkpoint left off; a checkpoint of another folder brings the rows along.</summary>
    internal static MetricsWriter Reopen(string runDirectory, CheckpointContent? checkpoint, Events events)
    {
        var path = Path.Combine(runDirectory, FileName);
        if (checkpoint is null) return new MetricsWriter(path);
        var source = Path.Combine(Path.GetDirectoryName(FolderPath.Real(checkpoint.Directory))!, FileName);
        if (!FolderPath.AreSame(path, source) && File.Exists(source)) File.Copy(source, path, overwrite: true);
        var there = File.Exists(path) ? new FileInfo(path).Length : 0;
        if (there < checkpoint.State.MetricsBytes)
            events.Warn($"{path} is shorter than it was at step {checkpoint.State.Step}; its earlier rows are lost, those to come are written");
        return new MetricsWriter(path, checkpoint.State.MetricsBytes);
    }

    /// <summary>The highest step that a file of rows names; 0 where there is none. Rows that are no rows of ours are passed over.</summary>
    internal static long LastStep(string path)
    {
        if (!File.Exists(path)) return 0;
        long last = 0;
        foreach (var line in SmallFile.Lines(path))
        {
            try
            {
                using var row = JsonDocument.Parse(line);
                if (row.RootElement.ValueKind == JsonValueKind.Object && row.RootElement.TryGetProperty("step", out var value)
                    && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var step)) last = Math.Max(last, step);
            }
            catch (JsonException)
            {
                // The last row of a killed run may be half written.
            }
        }
        return last;
    }

    /// <summary>Bytes written so far, the kept ones included.</summary>
    public long Length => _file.Length;

    /// <inheritdoc/>
    public void On(TrainingEvent trainingEvent)
    {
        var row = trainingEvent switch
        {
            StepDone { IsLogged: true } s => new JsonObject
            {
                ["step"] = s.Step,
                ["epoch"] = s.Epoch,
                ["loss"] = s.Loss,
                ["learning_rate"] = s.LearningRate,
                ["grad_norm"] = s.GradNorm,
                ["tokens"] = s.Tokens,
                ["trained_tokens"] = s.TrainedTokens,
                ["tokens_per_second"] = s.TokensPerSecond,
                ["memory_bytes"] = s.MemoryBytes,
                ["elapsed_seconds"] = s.ElapsedSeconds,
            },
            EvalDone e => new JsonObject
            {
                ["step"] = e.Step,
                ["epoch"] = e.Epoch,
                ["eval_loss"] = e.EvalLoss,
                ["eval_tokens"] = e.Tokens,
                ["eval_trained_tokens"] = e.TrainedTokens,
                ["eval_seconds"] = e.Seconds,
            },
            Sampled s => new JsonObject { ["step"] = s.Step, ["sample_prompt"] = s.Prompt, ["sample_text"] = s.Text },
            RolledOut r => new JsonObject
            {
                ["step"] = r.Step,
                ["rollout"] = JsonSerializer.SerializeToNode(r.Prompts.Select(each => new { row = each.Row.ToString(), each.Rewards, each.Lengths }),
                    RunJson.Line),
            },
            _ => null,
        };
        if (trainingEvent is EvalDone { IsOfTokens: true } of) row!.Insert(3, "eval_perplexity", Perplexity(of.EvalLoss));
        foreach (var (name, value) in Metrics(trainingEvent)) row?.Add(name, value);
        if (row is not null) Write(row.ToJsonString(RunJson.Line));
    }

    private static IEnumerable<(string, double)> Metrics(TrainingEvent trainingEvent) => trainingEvent switch
    {
        StepDone step => step.Metrics.Select(pair => (pair.Key, pair.Value)),
        EvalDone eval => eval.Metrics.Select(pair => ("eval_" + pair.Key, pair.Value)),
        _ => [],
    };

    /// <summary>Brings the rows to the disk, so that no checkpoint is ahead of them.</summary>
    public void Flush()
    {
        try
        {
            _file.Flush(flushToDisk: true);
        }
        catch (Exception fault) when (WriteFault.Covers(fault))
        {
            throw Refused(fault);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        try
        {
            _file.Dispose();
        }
        catch (Exception fault) when (WriteFault.Covers(fault))
        {
            // The write that failed has told it.
        }
    }

    private void Write(string line)
    {
        try
        {
            _file.Write(Encoding.UTF8.GetBytes(line + "\n"));
            _file.Flush();
        }
        catch (Exception fault) when (WriteFault.Covers(fault))
        {
            throw Refused(fault);
        }
    }

    // JSON has no infinity; a loss above 709 nats has no perplexity in a double.
    private static JsonValue? Perplexity(double loss) => double.IsFinite(Math.Exp(loss)) ? JsonValue.Create(Math.Exp(loss)) : null;

    private CannotWriteException Refused(Exception fault) =>
        WriteFault.Of(_path, fault);
}
