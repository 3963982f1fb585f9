using Trainer.Models;
using Trainer.Models.Families;
using Trainer.Training;
using Trainer.Training.Objectives;
using Trainer.Training.Options;

namespace Trainer.Cli.Options;

/// <summary>Settings that cannot both be meant.</summary>
internal static class Contradictions
{
    public const string NoData = "no training data; add --data FILE, --data DIR or --data demo";

    /// <summary>Pairs of which the command line's wins over the recipe's.</summary>
    public static readonly IReadOnlyList<(Setting, Setting)> Rivals =
    [
        (StepSettings.MaxSteps, StepSettings.Epochs), (StepSettings.Warmup, StepSettings.WarmupRatio), (DataSettings.EvalData, DataSettings.EvalSplit),
        (AdapterSettings.Layers, AdapterSettings.LayersToTransform),
        (RunSettings.Resume, RunSettings.Overwrite),
    ];

    public static void RequireData(SettingValues values, TrainingOptions options)
    {
        if (options.Data.Train.Count == 0 && values.Items(DataSettings.Data).Count == 0) values.Fault(NoData);
        if (GrpoCheck.Missing(options) is { } missing) values.Fault(missing);
    }

    /// <summary>What the objective does not read, or cannot carry out.</summary>
    public static void FindUnread(SettingValues values, TrainingOptions options)
    {
        foreach (var (setting, objectives) in PreferenceSettings.ReadBy.Where(each => values.Has(each.Setting) && !each.Objectives.Contains(options.Objective)))
            values.Fault($"{values.Origin(setting)} is not read by --objective {options.Objective}, but by {string.Join(", ", objectives)}; leave it out");
        foreach (var fault in PreferenceCheck.Faults(options)) values.Fault(fault);
    }

    public static void Find(SettingValues values, TrainingOptions options)
    {
        if (values.Has(StepSettings.Warmup) && values.Has(StepSettings.WarmupRatio) && options.WarmupSteps > 0)
            values.Fault($"{values.Origin(StepSettings.Warmup)} and {values.Origin(StepSettings.WarmupRatio)} both say how long the warm-up is; keep one");
        FindUnread(values, options);
        if (options.Compute == ComputeKind.Int8 && options.Device is not ("auto" or "cpu"))
            values.Fault($"{values.Origin(ModelSettings.Dtype)} int8 is multiplied by the processor alone, not "
                + $"by {values.Origin(ModelSettings.Device)} {options.Device}; take bfloat16 or float32");
        if (values.Has(ModelSettings.DeviceMemory) && options.Device is "auto" or "cpu")
            values.Fault($"{values.Origin(ModelSettings.DeviceMemory)} is of a graphics processor, and the processor computes; pass --device cuda, or "
                + "--max-memory for the machine's");
        if (options.MinLr > options.LearningRate)
            values.Fault($"{values.Origin(StepSettings.MinLr)} {Quantities.Plain(options.MinLr)} is above {values.Origin(StepSettings.LearningRate)} "
                + $"{Quantities.Plain(options.LearningRate)}; lower it");
        if (options.WarmupSteps >= 1 && options.WarmupSteps != Math.Truncate(options.WarmupSteps))
            values.Fault($"{values.Origin(StepSettings.Warmup)} {Quantities.Plain(options.WarmupSteps)} is neither a whole number of steps nor a ratio below "
                + "1");
        if (options.MaxSteps is { } steps && options.WarmupSteps >= 1 && options.WarmupSteps > steps)
            values.Fault($"{values.Origin(StepSettings.Warmup)} {Quantities.Plain(options.WarmupSteps)} is above {values.Origin(StepSettings.MaxSteps)} "
                + $"{steps}; the peak rate would never be reached");
        if (values.Has(StepSettings.MaxSteps) && values.Has(StepSettings.Epochs) && options.MaxSteps is not null)
            values.Fault($"{values.Origin(StepSettings.MaxSteps)} and {values.Origin(StepSettings.Epochs)} both say how long to train; keep one");
        if (values.Has(DataSettings.EvalData) && options.Data.EvalSplit > 0)
            values.Fault($"{values.Origin(DataSettings.EvalData)} and {values.Origin(DataSettings.EvalSplit)} both say what is held out; keep one");
        foreach (var held in options.Data.Eval.Where(held => options.Data.Train.Any(train => IsSame(train, held))))
            values.Fault($"{values.Origin(DataSettings.EvalData)} '{held.Path}' is trained on too, so it would tell how well its rows are learnt by heart; "
                + "hold out others: --eval-split 0.1, or parts such as FILE[:90%] and FILE[90%:]");
        if (options.Data.EvalSplit >= 1 && options.Data.EvalSplit != Math.Truncate(options.Data.EvalSplit))
            values.Fault($"{values.Origin(DataSettings.EvalSplit)} {Quantities.Plain(options.Data.EvalSplit)} is neither a share below 1 nor a whole number "
                + "of rows");
        if (values.AreTogether(ModelSettings.DoubleQuant, ModelSettings.Quantize) && options.DoubleQuant && options.Quantize != QuantizeKind.Nf4)
            values.Fault($"{values.Origin(ModelSettings.DoubleQuant)} needs --quantize nf4, "
                + $"not {values.Origin(ModelSettings.Quantize)} {options.Quantize.ToString().ToLowerInvariant()}");
        // Only here is it known that the user said so: true is the default too.
        if (values.Has(ModelSettings.DoubleQuant) && options is { DoubleQuant: true, Stream: Choice.On }
            && File.Exists(Path.Combine(options.ModelDirectory, "config.json"))
            && ConfigLoader.Load(options.ModelDirectory).StoredQuantization is { IsNf4: true, DoubleQuantized: false })
            values.Fault($"{values.Origin(ModelSettings.DoubleQuant)} true: '{options.Model}' was quantized without it and is read as it lies by --stream on; "
                + "leave the option out, or pass the original model");
        if (values.Has(AdapterSettings.Layers) && values.Has(AdapterSettings.LayersToTransform))
            values.Fault($"{values.Origin(AdapterSettings.Layers)} and {values.Origin(AdapterSettings.LayersToTransform)} both choose layers; keep one");
        if (options.Data.TruncateAnswers && options.Data.OnTooLong != Data.OnTooLong.Truncate)
            values.Fault($"{values.Origin(DataSettings.TruncateAnswers)} has a meaning with --on-too-long truncate alone; add it");
        if (options.AllowDrift && options.Resume is null)
            values.Fault($"{values.Origin(RunSettings.AllowDrift)} has a meaning with --resume alone; add --resume or drop it");
        if (values.AreTogether(DataSettings.GroupByLength, DataSettings.Shuffle) && options.GroupByLength && !options.Shuffle)
            values.Fault($"{values.Origin(DataSettings.GroupByLength)} reorders rows and --no-shuffle forbids it; keep one");
        if (values.Has(AdapterSettings.Adapter)) FindShapeBesideAdapter(values);
    }

    // A folder has a part of its own for each of the two.
    private static bool IsSame(Data.DataSource train, Data.DataSource held) =>
        (train.Split is not null || File.Exists(train.Path)) && Path.GetFullPath(train.Path) == Path.GetFullPath(held.Path) && train.Split == held.Split
        && train.Subset == held.Subset;

    /// <summary>A continued adapter has its shape already; a second one beside it would be ignored.</summary>
    private static void FindShapeBesideAdapter(SettingValues values)
    {
        foreach (var setting in TrainSettings.All.Where(setting => setting.ShapesAdapter && values.Has(setting)))
            values.Fault($"{values.Origin(setting)} shapes a fresh adapter and {values.Origin(AdapterSettings.Adapter)} continues one that has its shape; "
                + "drop one of them");
    }
}
