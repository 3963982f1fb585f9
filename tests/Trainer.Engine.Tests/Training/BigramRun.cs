using Trainer.Training;
using Trainer.Training.Records;
using Trainer.Training.State;

namespace Trainer.Engine.Tests.Training;

/// <summary>A run of <see cref="BigramModel"/> in a folder of its own: everything of a run but loading.</summary>
internal sealed class BigramRun : IDisposable, ITrainingObserver
{
    private readonly bool _ownsFolder;

    public BigramRun(string? folder = null)
    {
        _ownsFolder = folder is null;
        Folder = folder ?? Directory.CreateTempSubdirectory("bigram-").FullName;
        Options = new TrainingOptions
        {
            Model = "bigram",
            ModelDirectory = Folder,
            Data = new Trainer.Data.DataOptions(),
            OutputDirectory = Path.Combine(Folder, "run"),
            MaxSteps = 20,
            GradientAccumulationSteps = 2,
            LoggingSteps = 1,
            EvalSteps = 5,
            SaveSteps = 4,
            SaveTotalLimit = 0,
            LearningRate = 0.05,
            WarmupSteps = 2,
            WeightDecay = 0.01,
            AllowHighLoss = true,
        };
    }

    public string Folder { get; }

    public TrainingOptions Options { get; set; }

    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>How long ago the command began.</summary>
    public TimeSpan? BeganBefore { get; init; }

    public Trainer.Distributed.ICollective Ranks { get; init; } = new Trainer.Distributed.SingleProcess();

    public BigramData Data { get; set; } = new(11, 7);

    public List<TrainingEvent> Seen { get; } = [];

    public Action<TrainingEvent>? OnEvent { get; set; }

    public Action<BigramModel, StepKey>? BeforeStep { get; set; }

    public Trainer.Training.TrainingResult Run(CancellationToken stop = default)
    {
        var events = new Events([this]);
        using var folder = Ranks.Rank == 0 ? RunFolder.Open(Options, events) : RunFolder.Follow(Options, events);
        using var model = new BigramModel(7);
        model.BeforeStep = key => BeforeStep?.Invoke(model, key);
        var manifest = RunManifest.Begin(Options, folder.Earlier);
        if (Ranks.Rank == 0) manifest.WriteIfFirst(folder);
        return TrainingRun.Continue(new RunParts
        {
            Options = Options, Folder = folder, Manifest = manifest, Model = model, Data = Data, Events = events, Time = Time, Ranks = Ranks,
            BeganAt = BeganBefore is { } before ? Time.GetTimestamp() - (long)(before.TotalSeconds * Time.TimestampFrequency) : null,
        }, stop);
    }

    public string Out(string name) => Path.Combine(Options.OutputDirectory, name);

    public byte[] Adapter => File.ReadAllBytes(Out("adapter_model.safetensors"));

    /// <summary>The rows of metrics.jsonl without what the clock and the machine decide.</summary>
    public string[] Metrics => [.. File.ReadAllLines(Out("metrics.jsonl")).Select(MetricsRows.Deterministic)];

    public void On(TrainingEvent trainingEvent)
    {
        Seen.Add(trainingEvent);
        OnEvent?.Invoke(trainingEvent);
    }

    public void Dispose()
    {
        if (_ownsFolder) Directory.Delete(Folder, recursive: true);
    }
}
