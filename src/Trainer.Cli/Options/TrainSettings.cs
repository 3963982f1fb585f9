using Trainer.Cli.CommandLine;

namespace Trainer.Cli.Options;

/// <summary>Every setting of <c>train</c>, in the order help shows them.</summary>
internal static class TrainSettings
{
    public static readonly IReadOnlyList<Setting> All =
    [
        ModelSettings.Model, ModelSettings.Quantize, ModelSettings.DoubleQuant, ModelSettings.Dtype, ModelSettings.Stream, ModelSettings.Device,
        ModelSettings.Threads, ModelSettings.MaxMemory,
        DataSettings.Data, DataSettings.EvalData, DataSettings.EvalSplit, DataSettings.MaxSeqLength, DataSettings.OnTooLong, DataSettings.Packing,
        DataSettings.GroupByLength, DataSettings.TrainOn, DataSettings.ChatTemplate, DataSettings.DropEmpty, DataSettings.AllowMissingEos,
        DataSettings.OnBadRow, DataSettings.TruncateAnswers,
        DataSettings.Shuffle, DataSettings.DataSeed,
        AdapterSettings.Rank, AdapterSettings.Alpha, AdapterSettings.Dropout, AdapterSettings.TargetModules, AdapterSettings.Layers,
        AdapterSettings.LayersToTransform, AdapterSettings.UseRslora, AdapterSettings.UseDora, AdapterSettings.LoraPlusRatio, AdapterSettings.Init,
        AdapterSettings.ModulesToSave, AdapterSettings.RankPattern, AdapterSettings.AlphaPattern, AdapterSettings.Bias, AdapterSettings.LoraBias,
        AdapterSettings.Adapter,
        StepSettings.MaxSteps, StepSettings.Epochs, StepSettings.MaxTime, StepSettings.BatchSize, StepSettings.Accumulation, StepSettings.LearningRate,
        StepSettings.Optim, StepSettings.Scheduler, StepSettings.Warmup, StepSettings.MinLr, StepSettings.WeightDecay, StepSettings.Beta1, StepSettings.Beta2,
        StepSettings.Epsilon, StepSettings.MaxGradNorm, StepSettings.Checkpointing, StepSettings.Seed,
        RunSettings.OutputDirectory, RunSettings.LoggingSteps, RunSettings.EvalSteps, RunSettings.SaveSteps, RunSettings.SaveTotalLimit,
        RunSettings.Patience, RunSettings.Resume, RunSettings.AllowDrift, RunSettings.Overwrite, RunSettings.AllowHighLoss, RunSettings.SamplePrompts, RunSettings.ReportTo,
        RunSettings.Config, RunSettings.DryRun, CommonSettings.Json,
    ];

    public static readonly IReadOnlyList<Setting> Recipe = [.. All.Where(setting => setting.InRecipe)];
}
