using System.Text.Json;
using Trainer.Checkpoints.Safetensors;
using Trainer.Data;
using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Training;

namespace Trainer.Engine.Tests.Training;

/// <summary>A whole run on a golden case: its rows written as a pre-tokenized file, its adapter continued, the reference's optimizer.</summary>
internal sealed class GoldenRun : IDisposable, ITrainingObserver
{
    private readonly string _folder = Directory.CreateTempSubdirectory("golden-run-").FullName;

    public GoldenRun(string adapterCase, string baseModel, int vocabulary, int accumulation)
    {
        var rows = Path.Combine(_folder, "rows.jsonl");
        File.WriteAllLines(rows, Rows(Golden.Folder("lora", $"batches_{vocabulary}.safetensors")));
        Options = new TrainingOptions
        {
            Model = baseModel,
            ModelDirectory = Golden.Folder(baseModel),
            Data = new DataOptions { Train = [new DataSource(rows)] },
            OutputDirectory = Path.Combine(_folder, "run"),
            AdapterDirectory = Golden.Folder("lora", adapterCase, "adapter_init"),
            MaxSteps = 10,
            BatchSize = 2,
            GradientAccumulationSteps = accumulation,
            Shuffle = false,
            LearningRate = 1e-3,
            LrScheduler = "cosine",
            WarmupSteps = 2,
            WeightDecay = 0.01,
            Quantize = QuantizeKind.None,
            Compute = ComputeKind.Float32,
            LoggingSteps = 1,
            SaveSteps = 4,
            Threads = 1,
        };
    }

    public TrainingOptions Options { get; set; }

    public List<TrainingEvent> Seen { get; } = [];

    public Action<TrainingEvent>? OnEvent { get; set; }

    public TrainingResult Run(CancellationToken stop = default) => TrainingRun.Run(Options, [this], stop);

    public string Out(string name) => Path.Combine(Options.OutputDirectory, name);

    public List<JsonElement> Metrics => [.. File.ReadAllLines(Out("metrics.jsonl")).Select(line => JsonDocument.Parse(line).RootElement)];

    public void On(TrainingEvent trainingEvent)
    {
        Seen.Add(trainingEvent);
        OnEvent?.Invoke(trainingEvent);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static List<string> Rows(string path)
    {
        using var file = SafetensorsFile.Open(path);
        var shape = file.Entry("input_ids").Shape;
        var (count, length) = ((int)(shape[0] * shape[1]), (int)shape[2]);
        var (ids, labels, mask) = (Golden.Ints(file, "input_ids"), Golden.Ints(file, "labels"), Golden.Ints(file, "attention_mask"));
        var rows = new List<string>();
        for (var row = 0; row < count; row++)
        {
            var real = mask.AsSpan(row * length, length).ToArray().Sum();
            rows.Add(JsonSerializer.Serialize(new { input_ids = ids[(row * length)..(row * length + real)],
                labels = labels[(row * length)..(row * length + real)] }));
        }
        return rows;
    }
}
