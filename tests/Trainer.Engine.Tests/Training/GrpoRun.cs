using System.Text.Json;
using Trainer.Data;
using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Models.Lora;
using Trainer.Training;
using Trainer.Training.Objectives;

namespace Trainer.Engine.Tests.Training;

/// <summary>A run of the embedded model on rewards, in a folder of its own.</summary>
internal sealed class GrpoRun : IDisposable, ITrainingObserver
{
    private readonly string _folder = Directory.CreateTempSubdirectory("grpo-run-").FullName;

    /// <param name="reward">A shell command that rewards a line.</param>
    /// <param name="prompts">What the model is asked.</param>
    public GrpoRun(string reward = "while read -r line; do echo $((${#line} % 7)); done", int prompts = 6)
    {
        var rows = Path.Combine(_folder, "rows.jsonl");
        File.WriteAllLines(rows, Enumerable.Range(0, prompts).Select(i => JsonSerializer.Serialize(new
        {
            prompt = new[] { new { role = "user", content = $"Count the legs of {i} beetles." } }, answer = 6 * i,
        })));
        Options = new TrainingOptions
        {
            Model = "tiny", ModelDirectory = ReferenceData.Embedded, Data = new DataOptions { Train = [new DataSource(rows)], MaxSeqLength = 64 },
            OutputDirectory = Path.Combine(_folder, "run"), Objective = "grpo", MaxSteps = 4, BatchSize = 4, GradientAccumulationSteps = 2,
            LearningRate = 2e-3, WarmupSteps = 0, LrScheduler = "constant", Quantize = QuantizeKind.None, Compute = ComputeKind.Float32, Threads = 1,
            LoggingSteps = 1, SaveSteps = 0, ReportTo = [], Lora = new LoraOptions { Rank = 4 },
            Preference = new PreferenceOptions { Beta = 0 },
            Grpo = new GrpoOptions { RewardCommands = [reward], NumGenerations = 4, MaxCompletionLength = 10, RewardTimeout = TimeSpan.FromSeconds(30) },
        };
    }

    public TrainingOptions Options { get; set; }

    public List<TrainingEvent> Seen { get; } = [];

    public Action<TrainingEvent>? OnEvent { get; set; }

    public TrainingResult Run(CancellationToken stop = default) => TrainingRun.Run(Options, [this], stop);

    public string Out(string name) => Path.Combine(Options.OutputDirectory, name);

    /// <summary>The rows of metrics.jsonl without what the clock decides.</summary>
    public string[] Metrics => [.. File.ReadAllLines(Out("metrics.jsonl")).Select(MetricsRows.Deterministic)];

    public List<JsonElement> Steps => [.. File.ReadAllLines(Out("metrics.jsonl")).Select(line => JsonDocument.Parse(line).RootElement)
        .Where(row => row.TryGetProperty("loss", out _))];

    public void On(TrainingEvent trainingEvent)
    {
        Seen.Add(trainingEvent);
        OnEvent?.Invoke(trainingEvent);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
