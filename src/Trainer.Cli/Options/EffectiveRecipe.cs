using System.Globalization;
using System.Text;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Rendering;
using Trainer.Data;
using Trainer.Training;

namespace Trainer.Cli.Options;

/// <summary>The options of a run written as the recipe that makes it again.</summary>
internal static class EffectiveRecipe
{
    /// <summary>Key and value (number, flag, word, list or mapping) of everything that has one.</summary>
    public static IReadOnlyList<KeyValuePair<string, object>> Entries(TrainingOptions o, RunExtras extras)
    {
        var entries = new List<KeyValuePair<string, object>>();
        void Add(Setting setting, object? value)
        {
            if (value is not (null or System.Collections.ICollection { Count: 0 })) entries.Add(KeyValuePair.Create(setting.Key, value is Enum word ? Word(setting, word) : value));
        }
        Add(ModelSettings.Model, o.Model);
        Add(ModelSettings.Quantize, o.Quantize);
        if (o.Quantize == Quantize.Nf4) Add(ModelSettings.DoubleQuant, o.DoubleQuant);
        Add(ModelSettings.Dtype, o.Compute);
        Add(ModelSettings.Stream, o.Stream);
        Add(ModelSettings.Device, o.Device);
        Add(ModelSettings.Threads, o.Threads);
        Add(ModelSettings.MaxMemory, o.MaxMemoryBytes?.ToString(CultureInfo.InvariantCulture));
        Add(DataSettings.Data, Sources(o.Data.Train));
        Add(DataSettings.EvalData, Sources(o.Data.Eval));
        Add(DataSettings.EvalSplit, o.Data.EvalSplit);
        Add(DataSettings.MaxSeqLength, o.Data.MaxSeqLength);
        Add(DataSettings.OnTooLong, o.Data.OnTooLong);
        Add(DataSettings.Packing, o.Packing);
        if (o.Shuffle) Add(DataSettings.GroupByLength, o.GroupByLength);
        Add(DataSettings.TrainOn, o.Data.TrainOn);
        Add(DataSettings.ChatTemplate, o.Data.ChatTemplateFile);
        Add(DataSettings.DropEmpty, o.Data.DropEmpty);
        Add(DataSettings.AllowMissingEos, o.Data.AllowMissingEos);
        Add(DataSettings.OnBadRow, o.Data.OnBadRow);
        Add(DataSettings.TruncateAnswers, o.Data.TruncateAnswers);
        Add(DataSettings.Shuffle, o.Shuffle);
        Add(DataSettings.DataSeed, o.DataSeed);
        if (o.AdapterDirectory is not null)
        {
            Add(AdapterSettings.Adapter, o.AdapterDirectory);
            Add(AdapterSettings.Dropout, o.Lora.Dropout);
            Add(AdapterSettings.LoraPlusRatio, o.Lora.LoraPlusRatio);
        }
        else
        {
            AddLora(Add, o.Lora);
        }
        if (o.MaxSteps is null) Add(StepSettings.Epochs, o.Epochs);
        Add(StepSettings.MaxSteps, o.MaxSteps);
        Add(StepSettings.MaxTime, o.MaxTime is { } time ? Quantities.Plain(time.TotalSeconds) + "s" : null);
        Add(StepSettings.BatchSize, o.BatchSize);
        Add(StepSettings.Accumulation, o.GradientAccumulationSteps);
        Add(StepSettings.LearningRate, o.LearningRate);
        Add(StepSettings.Optim, o.Optim);
        Add(StepSettings.Scheduler, o.LrScheduler);
        Add(StepSettings.Warmup, o.WarmupSteps);
        Add(StepSettings.MinLr, o.MinLr);
        Add(StepSettings.WeightDecay, o.WeightDecay);
        Add(StepSettings.Beta1, o.AdamBeta1);
        Add(StepSettings.Beta2, o.AdamBeta2);
        Add(StepSettings.Epsilon, o.AdamEpsilon);
        Add(StepSettings.MaxGradNorm, o.MaxGradNorm);
        Add(StepSettings.Checkpointing, o.GradientCheckpointing);
        Add(StepSettings.Seed, o.Seed);
        Add(RunSettings.OutputDirectory, o.OutputDirectory);
        Add(RunSettings.LoggingSteps, o.LoggingSteps);
        Add(RunSettings.EvalSteps, o.EvalSteps);
        Add(RunSettings.SaveSteps, o.SaveSteps);
        Add(RunSettings.SaveTotalLimit, o.SaveTotalLimit);
        Add(RunSettings.Patience, o.EarlyStoppingPatience);
        Add(RunSettings.Resume, o.Resume);
        Add(RunSettings.Overwrite, o.OverwriteOutputDirectory);
        Add(RunSettings.AllowHighLoss, o.AllowHighLoss);
        if (o.AllowDrift) Add(RunSettings.AllowDrift, o.AllowDrift);
        Add(RunSettings.SamplePrompts, extras.SamplePromptsFile);
        Add(RunSettings.ReportTo, extras.ReportTo.Count > 0 ? extras.ReportTo.ToList() : new List<string> { "none" });
        return entries;
    }

    private static void AddLora(Action<Setting, object?> add, LoraOptions lora)
    {
        add(AdapterSettings.Rank, lora.Rank);
        add(AdapterSettings.Alpha, lora.Alpha ?? 2.0 * lora.Rank);
        add(AdapterSettings.Dropout, lora.Dropout);
        add(AdapterSettings.TargetModules, lora.TargetModules.ToList());
        add(AdapterSettings.Layers, lora.Layers);
        add(AdapterSettings.LayersToTransform, lora.LayersToTransform?.Select(layer => layer.ToString(CultureInfo.InvariantCulture)).ToList());
        add(AdapterSettings.UseRslora, lora.UseRslora);
        add(AdapterSettings.UseDora, lora.UseDora);
        add(AdapterSettings.LoraPlusRatio, lora.LoraPlusRatio);
        add(AdapterSettings.Init, lora.Init);
        add(AdapterSettings.ModulesToSave, lora.ModulesToSave.ToList());
        add(AdapterSettings.RankPattern, lora.RankPattern.ToDictionary(pair => pair.Key, pair => (object)pair.Value));
        add(AdapterSettings.AlphaPattern, lora.AlphaPattern.ToDictionary(pair => pair.Key, pair => (object)pair.Value));
        add(AdapterSettings.Bias, lora.Bias);
        add(AdapterSettings.LoraBias, lora.LoraBias);
    }

    private static string Word(Setting setting, Enum value) => setting.Choices.First(choice => choice.Replace("-", "", StringComparison.Ordinal).Equals(value.ToString(), StringComparison.OrdinalIgnoreCase));

    private static List<object> Sources(IReadOnlyList<DataSource> sources) =>
    [
        .. sources.Select(object (source) => source.Weight == 1 && source.Columns is null ? source.Path : Mapping(source)),
    ];

    private static Dictionary<string, object> Mapping(DataSource source)
    {
        var map = new Dictionary<string, object> { ["path"] = source.Path, ["weight"] = source.Weight };
        if (source.Columns is not null) map["columns"] = source.Columns.ToDictionary(pair => pair.Key, pair => (object)pair.Value);
        return map;
    }

    public static string Yaml(IEnumerable<KeyValuePair<string, object>> entries)
    {
        var text = new StringBuilder();
        foreach (var (key, value) in entries)
        {
            switch (value)
            {
                case System.Collections.IEnumerable list and not (string or System.Collections.IDictionary):
                    text.Append(key).AppendLine(":");
                    foreach (var item in list) text.Append("  - ").AppendLine(Inline(item));
                    break;
                default:
                    text.Append(key).Append(": ").AppendLine(Inline(value));
                    break;
            }
        }
        return text.ToString();
    }

    private static string Inline(object value) => value switch
    {
        bool flag => flag ? "true" : "false",
        double number => Number(number),
        int number => number.ToString(CultureInfo.InvariantCulture),
        Dictionary<string, object> map => "{ " + string.Join(", ", map.Select(pair => $"{Quoted(pair.Key)}: {Inline(pair.Value)}")) + " }",
        _ => Quoted(value.ToString()!),
    };

    // 1.0e-8: without the dot YAML 1.1 takes it for text.
    private static string Number(double number)
    {
        var text = Quantities.Plain(number);
        return text.Contains('.', StringComparison.Ordinal) ? text : text.Replace("e", ".0e", StringComparison.Ordinal);
    }

    /// <summary>Plain where YAML reads the same word back, else in double quotes (JSON's escapes are YAML's).</summary>
    private static string Quoted(string text) =>
        text.Length > 0 && text.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '/' or '_' or '-' or '.') && !char.IsAsciiDigit(text[0]) && text[0] is not ('-' or '.') && text is not ("true" or "false" or "null" or "yes" or "no" or "on" or "off")
            ? text
            : Json.Quote(text);
}
