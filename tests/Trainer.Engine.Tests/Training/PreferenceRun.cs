using System.Runtime.InteropServices;
using System.Text.Json;
using Trainer.Checkpoints.Safetensors;
using Trainer.Data;
using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Training;
using Trainer.Training.Options;

namespace Trainer.Engine.Tests.Training;

/// <summary>A whole run on a preference case of tests/fixtures/preference: its pre-tokenized rows, its options as words.</summary>
internal sealed class PreferenceRun : IDisposable, ITrainingObserver
{
    private static readonly string Fixtures = Path.Combine(Models.Golden.Fixtures, "preference");
    private readonly string _folder = Directory.CreateTempSubdirectory("preference-run-").FullName;

    public PreferenceRun(string name)
    {
        Golden = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Fixtures, name + ".json"))).RootElement;
        var defaults = new TrainingOptions
        {
            Model = "llama31",
            ModelDirectory = Models.Golden.Folder("llama31"),
            Data = new DataOptions { Train = [new DataSource(Path.Combine(Fixtures, name + ".jsonl"))] },
            OutputDirectory = Path.Combine(_folder, "run"),
            AdapterDirectory = Path.Combine(Fixtures, "adapter_" + Golden.GetProperty("adapter").GetString()),
            MaxSteps = 10,
            Shuffle = false,
            LearningRate = 1e-3,
            WeightDecay = 0.01,
            Quantize = QuantizeKind.None,
            Compute = ComputeKind.Float32,
            LoggingSteps = 1,
            SaveSteps = 4,
            Threads = 1,
        };
        var values = new SettingValues(Golden.GetProperty("words").EnumerateObject().ToDictionary(word => word.Name,
            word => new SettingValue("--" + word.Name, [new SettingItem(word.Value.GetString()!)])));
        Options = OptionReader.Read(values, defaults);
        values.ThrowIfFaulty();
    }

    public JsonElement Golden { get; }

    public TrainingOptions Options { get; set; }

    public Action<TrainingEvent>? OnEvent { get; set; }

    public TrainingResult Run(CancellationToken stop = default) => TrainingRun.Run(Options, [this], stop);

    public string Out(string name) => Path.Combine(Options.OutputDirectory, name);

    public List<JsonElement> Metrics => [.. File.ReadAllLines(Out("metrics.jsonl")).Select(line => JsonDocument.Parse(line).RootElement)];

    public double DifferenceFrom(string weights)
    {
        using var first = SafetensorsFile.Open(Out("adapter_model.safetensors"));
        using var second = SafetensorsFile.Open(weights);
        Assert.Equal(first.Entries.Count, second.Entries.Count);
        return first.Entries.Max(entry => Models.Golden.LargestDifference(
            MemoryMarshal.Cast<byte, float>(first.Bytes(entry)), MemoryMarshal.Cast<byte, float>(second.Bytes(second.Entry(entry.Name)))));
    }

    public void On(TrainingEvent trainingEvent) => OnEvent?.Invoke(trainingEvent);

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
