using System.Globalization;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Rendering;
using Trainer.Data;
using Trainer.Training;

namespace Trainer.Cli.Options;

/// <summary>From what the user said to the immutable <see cref="TrainingOptions"/>; every fault is found before anything is loaded.</summary>
internal static class TrainingOptionsReader
{
    /// <param name="values">What the user said.</param>
    /// <param name="terminal">Decides how often a row is logged.</param>
    /// <param name="time">Names the run folder.</param>
    /// <param name="isPlan">A plan needs no weights and no data.</param>
    public static TrainingOptions Read(SettingValues values, Terminal terminal, TimeProvider time, bool isPlan = false)
    {
        var model = ModelReference.Read(values, needsWeights: !isPlan);
        var options = new TrainingOptions
        {
            Model = model.Name,
            ModelDirectory = model.Directory ?? "",
            Data = ReadTrainingData(values, model.Directory),
            OutputDirectory = OutputDirectory(values, model.Name, time),
            AdapterDirectory = ExistingFolder(values, AdapterSettings.Adapter),
            Lora = ReadLora(values),
        };
        var defaults = options;
        options = options with
        {
            MaxSteps = values.Integer(StepSettings.MaxSteps) is { } steps and not -1 ? steps : null,
            Epochs = values.Number(StepSettings.Epochs) ?? defaults.Epochs,
            MaxTime = values.Duration(StepSettings.MaxTime),
            BatchSize = values.Integer(StepSettings.BatchSize) ?? defaults.BatchSize,
            GradientAccumulationSteps = values.Integer(StepSettings.Accumulation) ?? defaults.GradientAccumulationSteps,
            Packing = values.Flag(DataSettings.Packing) ?? defaults.Packing,
            GroupByLength = values.Flag(DataSettings.GroupByLength) ?? defaults.GroupByLength,
            LearningRate = values.Number(StepSettings.LearningRate) ?? defaults.LearningRate,
            Optim = values.Word(StepSettings.Optim) ?? defaults.Optim,
            LrScheduler = values.Choice<LrScheduler>(StepSettings.Scheduler) ?? defaults.LrScheduler,
            WarmupSteps = values.Number(StepSettings.Warmup) ?? defaults.WarmupSteps,
            MinLr = values.Number(StepSettings.MinLr) ?? defaults.MinLr,
            WeightDecay = values.Number(StepSettings.WeightDecay) ?? defaults.WeightDecay,
            AdamBeta1 = values.Number(StepSettings.Beta1) ?? defaults.AdamBeta1,
            AdamBeta2 = values.Number(StepSettings.Beta2) ?? defaults.AdamBeta2,
            AdamEpsilon = values.Number(StepSettings.Epsilon) ?? defaults.AdamEpsilon,
            MaxGradNorm = values.Number(StepSettings.MaxGradNorm) ?? defaults.MaxGradNorm,
            Quantize = values.Choice<Quantize>(ModelSettings.Quantize) ?? defaults.Quantize,
            DoubleQuant = values.Flag(ModelSettings.DoubleQuant) ?? defaults.DoubleQuant,
            Compute = values.Choice<ComputeType>(ModelSettings.Dtype) ?? defaults.Compute,
            Stream = values.Choice<Choice>(ModelSettings.Stream) ?? defaults.Stream,
            SamplePrompts = Lines(values, RunSettings.SamplePrompts),
            GradientCheckpointing = values.Choice<Checkpointing>(StepSettings.Checkpointing) ?? defaults.GradientCheckpointing,
            LoggingSteps = values.Integer(RunSettings.LoggingSteps) ?? (terminal.IsLive ? 1 : defaults.LoggingSteps),
            EvalSteps = values.Integer(RunSettings.EvalSteps),
            SaveSteps = values.Integer(RunSettings.SaveSteps) ?? defaults.SaveSteps,
            SaveTotalLimit = values.Integer(RunSettings.SaveTotalLimit) ?? defaults.SaveTotalLimit,
            EarlyStoppingPatience = values.Integer(RunSettings.Patience),
            Resume = values.Text(RunSettings.Resume),
            AllowDrift = values.Flag(RunSettings.AllowDrift) ?? defaults.AllowDrift,
            OverwriteOutputDirectory = values.Flag(RunSettings.Overwrite) ?? defaults.OverwriteOutputDirectory,
            // The embedded model knows one small world: text from outside it may surprise it more than guessing would.
            AllowHighLoss = values.Flag(RunSettings.AllowHighLoss) ?? (model.Directory == Embedded.TinyModel),
            Seed = values.Integer(StepSettings.Seed) ?? defaults.Seed,
            DataSeed = values.Integer(DataSettings.DataSeed),
            Shuffle = values.Flag(DataSettings.Shuffle) ?? defaults.Shuffle,
            Threads = values.Integer(ModelSettings.Threads),
            Device = values.Word(ModelSettings.Device) ?? defaults.Device,
            MaxMemoryBytes = values.Bytes(ModelSettings.MaxMemory),
        };
        // HF's own habit: --resume true / false.
        if (options.Resume is "true" or "True") options = options with { Resume = "auto" };
        if (options.Resume is "false" or "False") options = options with { Resume = null };
        if (options.Resume is not (null or "auto") && !Directory.Exists(options.Resume))
            values.Fault($"{values.Origin(RunSettings.Resume)} '{options.Resume}': no such checkpoint folder; --resume alone takes the newest of --output-dir");
        if (!isPlan) Contradictions.RequireData(values, options);
        Contradictions.Find(values, options);
        // The most useful answer to a line that is right but for the model on this machine is how to get the model.
        if (model.Absence is not null && values.Faults.All(fault => fault == Contradictions.NoData)) throw new CommandFailedException(ExitCode.Missing, model.Absence);
        values.ThrowIfFaulty();
        return options;
    }

    /// <summary>As <see cref="ReadData"/>, with a length that fits the model where the user names none: its positions are not exceeded, and plain text, which loses nothing by it, is split.</summary>
    /// <param name="values">Command line over recipe.</param>
    /// <param name="modelDirectory">The model's folder, or null where there is none.</param>
    public static DataOptions ReadTrainingData(SettingValues values, string? modelDirectory)
    {
        var data = ReadData(values);
        if (values.Has(DataSettings.MaxSeqLength)) return data;
        var positions = modelDirectory is null ? null : ModelPositions.Of(modelDirectory);
        return data with
        {
            MaxSeqLength = Math.Min(data.MaxSeqLength, positions ?? int.MaxValue),
            OnTooLong = values.Has(DataSettings.OnTooLong) ? data.OnTooLong : OnTooLong.Split,
        };
    }

    public static DataOptions ReadData(SettingValues values, SourceReader.Demo demo = SourceReader.Demo.Folder)
    {
        var defaults = new DataOptions();
        return new DataOptions
        {
            Train = SourceReader.Read(values, DataSettings.Data, demo),
            Eval = SourceReader.Read(values, DataSettings.EvalData, SourceReader.Demo.HeldOut),
            EvalSplit = values.Number(DataSettings.EvalSplit) ?? defaults.EvalSplit,
            MaxSeqLength = values.Integer(DataSettings.MaxSeqLength) ?? defaults.MaxSeqLength,
            OnTooLong = values.Choice<OnTooLong>(DataSettings.OnTooLong) ?? defaults.OnTooLong,
            TrainOn = values.Choice<TrainOn>(DataSettings.TrainOn) ?? defaults.TrainOn,
            ChatTemplateFile = ExistingFile(values, DataSettings.ChatTemplate),
            DropEmpty = values.Flag(DataSettings.DropEmpty) ?? defaults.DropEmpty,
            AllowMissingEos = values.Flag(DataSettings.AllowMissingEos) ?? defaults.AllowMissingEos,
            OnBadRow = values.Choice<OnBadRow>(DataSettings.OnBadRow) ?? defaults.OnBadRow,
            TruncateAnswers = values.Flag(DataSettings.TruncateAnswers) ?? defaults.TruncateAnswers,
        };
    }

    private static LoraOptions ReadLora(SettingValues values)
    {
        var defaults = new LoraOptions();
        return new LoraOptions
        {
            Rank = values.Integer(AdapterSettings.Rank) ?? defaults.Rank,
            Alpha = values.Number(AdapterSettings.Alpha),
            Dropout = values.Number(AdapterSettings.Dropout) ?? defaults.Dropout,
            TargetModules = TargetModules(values) ?? defaults.TargetModules,
            Layers = values.Integer(AdapterSettings.Layers),
            LayersToTransform = LayerNumbers(values),
            UseRslora = values.Flag(AdapterSettings.UseRslora) ?? defaults.UseRslora,
            UseDora = values.Flag(AdapterSettings.UseDora) ?? defaults.UseDora,
            LoraPlusRatio = values.Number(AdapterSettings.LoraPlusRatio),
            Init = values.Choice<InitLora>(AdapterSettings.Init) ?? defaults.Init,
            ModulesToSave = values.List(AdapterSettings.ModulesToSave),
            RankPattern = Pattern(values, AdapterSettings.RankPattern).ToDictionary(pair => pair.Key, pair => (int)pair.Value),
            AlphaPattern = Pattern(values, AdapterSettings.AlphaPattern),
            Bias = values.Word(AdapterSettings.Bias)?.Replace('-', '_') ?? defaults.Bias,
            LoraBias = values.Flag(AdapterSettings.LoraBias) ?? defaults.LoraBias,
        };
    }

    private static IReadOnlyList<string>? TargetModules(SettingValues values)
    {
        var items = values.Items(AdapterSettings.TargetModules);
        if (items.Count == 0) return null;
        // One word with the marks of a regular expression is one, commas and all: q_proj|v_proj, .*\.(q|v)_proj, x{1,2}.
        var names = items.Count == 1 && items[0].Text.IndexOfAny(['*', '|', '(', '[', '\\', '{']) >= 0 ? [items[0].Text] : values.List(AdapterSettings.TargetModules);
        if (names.Count == 0) values.Fault($"{values.Origin(AdapterSettings.TargetModules)} is empty; use all-linear or names such as q_proj,v_proj");
        // LLaMA-Factory says `all`, mlx-lm says nothing at all.
        return names is ["all"] ? ["all-linear"] : names;
    }

    private static List<int>? LayerNumbers(SettingValues values)
    {
        if (!values.Has(AdapterSettings.LayersToTransform)) return null;
        var numbers = new List<int>();
        foreach (var word in values.List(AdapterSettings.LayersToTransform))
        {
            if (int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out var number)) numbers.Add(number);
            else values.Fault($"{values.Origin(AdapterSettings.LayersToTransform)} '{word}' is not a layer number; write 0,1,2");
        }
        return numbers;
    }

    private static Dictionary<string, double> Pattern(SettingValues values, Setting setting)
    {
        var pattern = new Dictionary<string, double>();
        foreach (var item in values.Items(setting))
        {
            var pairs = item.Pairs ?? item.Text.Split(',').Select(part => (part, at: part.LastIndexOf('='))).Where(pair => pair.at > 0)
                .ToDictionary(pair => pair.part[..pair.at], pair => pair.part[(pair.at + 1)..]);
            if (pairs.Count == 0) values.Fault($"{values.Origin(setting)} '{item.Text}' is no list of name=number; write {(setting == AdapterSettings.RankPattern ? "q_proj=8,down_proj=32" : "q_proj=16")}");
            foreach (var (name, text) in pairs)
            {
                var whole = setting == AdapterSettings.RankPattern;
                if (double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && number > 0 && (!whole || number == Math.Truncate(number))) pattern[name] = number;
                else values.Fault($"{values.Origin(setting)} '{name}={text}': '{text}' is not a {(whole ? "whole " : "")}number above 0");
            }
        }
        return pattern;
    }

    private static string OutputDirectory(SettingValues values, string model, TimeProvider time)
    {
        if (values.Text(RunSettings.OutputDirectory) is { } given) return given;
        var name = Path.GetFileName(model.TrimEnd('/'));
        var safe = string.Concat(name.Select(letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '_' or '.' ? letter : '-'));
        return Path.Combine("runs", $"{(safe.Trim('.').Length > 0 ? safe : "model")}-{time.GetLocalNow().ToString("yyyyMMdd-HHmmss", CultureInfo.InvariantCulture)}");
    }

    private static string? ExistingFolder(SettingValues values, Setting setting)
    {
        if (values.Text(setting) is not { } path) return null;
        if (!Directory.Exists(path)) values.Fault($"{values.Origin(setting)} '{path}': no such folder");
        return path;
    }

    private static string? ExistingFile(SettingValues values, Setting setting)
    {
        if (values.Text(setting) is not { } path) return null;
        if (!File.Exists(path)) values.Fault($"{values.Origin(setting)} '{path}': no such file");
        return path;
    }

    private static List<string> Lines(SettingValues values, Setting setting)
    {
        if (ExistingFile(values, setting) is not { } path || !File.Exists(path)) return [];
        var lines = File.ReadAllLines(path).Where(line => line.Trim().Length > 0).ToList();
        if (lines.Count == 0) values.Fault($"{values.Origin(setting)} '{path}' holds no prompt; write one a line");
        return lines;
    }
}
