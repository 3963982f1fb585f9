using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Json;

namespace Trainer.Checkpoints.Runs;

/// <summary>trainer_state.json as transformers writes it, for the viewers and scripts that read it.</summary>
public sealed record TrainerState
{
    // The history is written at every checkpoint and only grows: the text of a row is made once.
    private static readonly ConditionalWeakTable<JsonObject, string> RowTexts = [];

    /// <summary>Name of the file.</summary>
    public const string FileName = "trainer_state.json";

    /// <summary>Optimizer steps made.</summary>
    public required long GlobalStep { get; init; }

    /// <summary>Optimizer steps of the whole run.</summary>
    public required long MaxSteps { get; init; }

    /// <summary>Passes over the data so far.</summary>
    public required double Epoch { get; init; }

    /// <summary>Passes over the data of the whole run, rounded up.</summary>
    public long NumTrainEpochs { get; init; } = 1;

    /// <summary>Lowest held-out loss so far, or null.</summary>
    public double? BestMetric { get; init; }

    /// <summary>Step of <see cref="BestMetric"/>, or null.</summary>
    public long? BestGlobalStep { get; init; }

    /// <summary>Folder of the checkpoint of <see cref="BestGlobalStep"/>, or null.</summary>
    public string? BestModelCheckpoint { get; init; }

    /// <summary>Steps between logged rows.</summary>
    public long LoggingSteps { get; init; } = 10;

    /// <summary>Steps between evaluations; 0 for none.</summary>
    public long EvalSteps { get; init; }

    /// <summary>Steps between checkpoints.</summary>
    public long SaveSteps { get; init; } = 100;

    /// <summary>Rows of one micro-batch.</summary>
    public long TrainBatchSize { get; init; } = 1;

    /// <summary>Tokens read so far.</summary>
    public long NumInputTokensSeen { get; init; }

    /// <summary>Floating-point operations so far, by the usual estimate.</summary>
    public double TotalFlos { get; init; }

    /// <summary>One object per logged row: step, epoch and either loss, grad_norm, learning_rate, or eval_loss and its like.</summary>
    public IReadOnlyList<JsonObject> LogHistory { get; init; } = [];

    /// <summary>The text of the file.</summary>
    public string ToJson()
    {
        var rows = string.Join(",\n    ", LogHistory.Select(static row => RowTexts.GetValue(row, static key => PythonJson.Serialize(key, depth: 2))));
        return LogHistory.Count == 0 ? Head() : Head().Replace("\"log_history\": []", $"\"log_history\": [\n    {rows}\n  ]", StringComparison.Ordinal);
    }

    private string Head() => PythonJson.Serialize(new JsonObject
    {
        ["best_global_step"] = BestGlobalStep,
        ["best_metric"] = BestMetric,
        ["best_model_checkpoint"] = BestModelCheckpoint,
        ["epoch"] = Epoch,
        ["eval_steps"] = EvalSteps,
        ["global_step"] = GlobalStep,
        ["is_hyper_param_search"] = false,
        ["is_local_process_zero"] = true,
        ["is_world_process_zero"] = true,
        ["log_history"] = new JsonArray(),
        ["logging_steps"] = LoggingSteps,
        ["max_steps"] = MaxSteps,
        ["num_input_tokens_seen"] = NumInputTokensSeen,
        ["num_train_epochs"] = NumTrainEpochs,
        ["save_steps"] = SaveSteps,
        ["stateful_callbacks"] = new JsonObject(),
        ["total_flos"] = TotalFlos,
        ["train_batch_size"] = TrainBatchSize,
        ["trial_name"] = null,
        ["trial_params"] = null,
    }) + "\n";

    // The log of a million steps.
    private const long MostBytes = 512L << 20;

    /// <summary>Reads a file of ours or of transformers; absent keys get their defaults.</summary>
    /// <exception cref="BadFileException">It is missing, not JSON, or lacks the step.</exception>
    public static TrainerState Read(string path)
    {
        try
        {
            var root = JsonNode.Parse(SmallFile.Bytes(path, MostBytes),
                documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false }) as JsonObject ?? throw new JsonException("it is not an object");
            return new TrainerState
            {
                GlobalStep = (long?)root["global_step"] ?? throw new JsonException("it has no global_step"),
                MaxSteps = (long?)root["max_steps"] ?? 0,
                Epoch = (double?)root["epoch"] ?? 0,
                NumTrainEpochs = (long?)root["num_train_epochs"] ?? 1,
                BestMetric = (double?)root["best_metric"],
                BestGlobalStep = (long?)root["best_global_step"],
                BestModelCheckpoint = (string?)root["best_model_checkpoint"],
                LoggingSteps = Whole(root["logging_steps"]) ?? 10,
                EvalSteps = Whole(root["eval_steps"]) ?? 0,
                SaveSteps = Whole(root["save_steps"]) ?? 100,
                TrainBatchSize = (long?)root["train_batch_size"] ?? 1,
                NumInputTokensSeen = (long?)root["num_input_tokens_seen"] ?? 0,
                TotalFlos = (double?)root["total_flos"] ?? 0,
                LogHistory = [.. (root["log_history"] as JsonArray ?? []).OfType<JsonObject>().Select(static row => (JsonObject)row.DeepClone())],
            };
        }
        catch (Exception fault) when (fault is JsonException or InvalidOperationException or FormatException or OverflowException or IOException
            or UnauthorizedAccessException)
        {
            throw new BadFileException($"'{path}' is not a readable {FileName}: {fault.Message.Split('\n')[0].TrimEnd('.')}; use an earlier checkpoint", fault);
        }
    }

    // transformers allows fractions of the run (0.1) where we count steps.
    private static long? Whole(JsonNode? node) => (double?)node is double value ? (long)value : null;
}
