using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Serilog.Events;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Safetensors;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Machine;
using Trainer.Cli.Options;
using Trainer.Cli.Rendering;
using Trainer.Data;
using Trainer.Engine.Native;
using Trainer.Models;
using Trainer.Models.Families;
using Trainer.Training;
using Trainer.Training.Objectives;
using Trainer.Training.Options;
using Trainer.Training.Plan;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer plan</c>: what <c>train</c> would do and need.</summary>
internal static class PlanCommand
{
    private static readonly Setting List = new("list", SettingKind.Flag, "General",
        "Tell which sizes of model this machine, or --max-memory, can train with these options.");

    private static readonly Setting Measure = new("measure", SettingKind.Flag, "General",
        "Run no micro-step; the time is then not told.") { Default = "true", ShownAsNo = true };

    private static readonly Setting RankCount = new("ranks", SettingKind.Integer, "General",
        "Tell what so many processes under a launcher would make of the run.") { Value = "N", Minimum = 1, Maximum = 1 << 16 };

    private static readonly Setting RanksPerNode = new("ranks-per-node", SettingKind.Integer, "General",
        "How many of them share a machine and its memory.") { Value = "N", Default = "1", Minimum = 1, Maximum = 1 << 10 };

    private static readonly Setting Link = new("link", SettingKind.Text, "General",
        "Rate of the network between them, such as 1Gbit, 25Gbit or 3GB/s.") { Value = "RATE", Default = "10Gbit" };

    public static readonly CommandSpec Spec = new("plan", "What train would do and need: rows, tokens, memory by part, disk, time.", Run)
    {
        Group = "Train",
        Description = "Takes every option of train. The model needs no more than its config.json; where its weights are here too, micro-steps are run to tell "
            + "the time, and a small run is made itself with a few steps in a folder that goes again. "
            + "Without --data, rows of --max-seq-length tokens are assumed. Exit code 4 if the run could not finish.",
        Positional = "[RECIPE.yaml]",
        PositionalHelp = "Same as --config.",
        MaxPositionals = 1,
        Settings = [.. TrainSettings.All.Where(setting => setting != RunSettings.DryRun).Select(setting => setting == ModelSettings.MaxMemory
            ? setting with { Aliases = ["memory"] } : setting), CommonSettings.Libtorch, CommonSettings.Json, List, Measure, RankCount, RanksPerNode, Link],
        Examples =
        [
            ("trainer plan --model NousResearch/Hermes-3-Llama-3.1-70B --batch-size 1 --lora-rank 16 --max-steps 5000", ""),
            ("trainer plan --memory 64GiB --list", "which models fit a machine"),
            ("trainer plan --config run.yaml --ranks 8 --link 10Gbit", "what eight machines would make of it"),
        ],
    };

    private static int Run(Invocation invocation)
    {
        var values = TrainCommand.WithRecipe(invocation);
        if (values.Flag(List) is true) return ListSizes(invocation, values);
        var options = TrainingOptionsReader.Read(values, invocation.Terminal, TimeProvider.System, isPlan: true);
        var (ranks, link) = (values.Integer(RankCount), LinkRate(values));
        var share = MemoryShare.Here with { Ranks = OnOneMachine(values, ranks) };
        values.ThrowIfFaulty();
        if (SequenceLength.Warning(options) is { } tooLong) invocation.Terminal.Error.WriteLine($"warning: {tooLong}");
        var reading = Stopwatch.StartNew();
        using var dataset = options.Data.Train.Count == 0 ? null : Open(invocation, options);
        // What was tokenized now lies in the cache when the run begins.
        var unlike = dataset?.Statistics.FromCache == false ? reading.Elapsed.TotalSeconds : 0;
        if (dataset is not null && PositionNote.Of(options.ModelDirectory, dataset.Statistics.LongestExample) is { } beyond)
            invocation.Terminal.Error.WriteLine("warning: " + beyond);
        var (plan, whyNoTime) = Timed(invocation, options, RunPlanner.Plan(options, dataset, share: share), dataset,
            ProgramClock.Seconds - unlike);
        if (ranks is { } count) plan = plan with { Ranks = RankPlan.Of(options, plan, dataset, count, link) };
        var output = invocation.Terminal.Out;
        if (invocation.Json) output.WriteLine(JsonSerializer.Serialize(plan, Json.Indented));
        else output.Write(Text(plan, options, whyNoTime, invocation.Verbose));
        return plan.Fits ? ExitCode.Done : throw new PlanRefusedException(plan.Verdict);
    }

    private static int OnOneMachine(SettingValues values, int? ranks)
    {
        if (values.Integer(RanksPerNode) is not { } count || !values.Has(RanksPerNode)) return 1;
        if (ranks is null) values.Fault($"{values.Origin(RanksPerNode)} says how ranks lie on machines; pass --ranks too");
        else if (count > ranks) values.Fault($"{values.Origin(RanksPerNode)} {count} is more than there are ranks; --ranks is {ranks}");
        return count;
    }

    private static double LinkRate(SettingValues values)
    {
        var text = values.Text(Link) ?? Link.Default!;
        if (!Quantities.TryRate(text, out var rate))
            values.Fault($"{values.Origin(Link)} '{text}' is no rate of a network; write 1Gbit, 25Gbit/s, 100Mbit or 3GB/s");
        else if (!values.Has(RankCount) && values.Has(Link)) values.Fault($"{values.Origin(Link)} is the network between ranks; pass --ranks too");
        return rate;
    }

    /// <summary>The plan with its time, or as it was and why there is none.</summary>
    private static (RunPlan Plan, string? WhyNoTime) Timed(Invocation invocation, TrainingOptions options, RunPlan plan, Dataset? dataset,
        double before)
    {
        if (!plan.Fits) return (plan, "not measured, as the run does not fit");
        if (invocation.Values.Flag(Measure) is false) return (plan, "not measured (--no-measure)");
        if (options.DeviceMemoryBytes is not null && ComputeDevice.Why(options.Device) is { } missing) return (plan, $"not measured, as {missing}");
        if (!Directory.EnumerateFiles(options.ModelDirectory, "*.safetensors").Any()) return (plan, "not measured, as the weights are not here");
        try
        {
            using var view = new RunView(invocation, $"plan {options.Model}", null, "", []);
            return (view.Run(() => Rehearsed() ?? PlanProbe.Measure(options, plan, dataset, view.Observers, before)), null);
        }
        catch (Exception fault) when (fault is BadFileException or ModelException)
        {
            // The counts and the memory hold without weights; half a download must not hide them.
            return (plan, $"not measured: {fault.Message}");
        }

        RunPlan? Rehearsed() => Rehearsal.Suits(options, plan, dataset)
            ? Rehearsal.Measure(options, plan, dataset!, before, folder => Writers(options, folder), invocation.Stop.Token) : null;
    }

    private static List<ITrainingObserver> Writers(TrainingOptions options, string folder) => [new RunHistory(),
        new RunLog(folder, null, LogEventLevel.Information),
        .. RunView.Writers(folder, EffectiveRecipe.Yaml(EffectiveRecipe.Entries(options)), options.ReportTo)];

    private static Dataset Open(Invocation invocation, TrainingOptions options)
    {
        var bar = new ProgressLine(invocation.Terminal, invocation.Quiet || !invocation.Terminal.IsLive);
        var text = ModelText.Load(options.FindText().Tokenizer, options.Data.ChatTemplateFile, ConfigLoader.Load(options.ModelDirectory).VocabularySize,
            variables: options.Data.TemplateVariables, templateDirectory: options.FindText().Template, modelDirectory: options.ModelDirectory);
        var dataset = DatasetBuilder.Build(options.Data with { Purpose = ObjectiveTable.Purpose(options.Objective) }, text,
            new Immediate(progress => bar.Show("reading " + Path.GetFileName(progress.File), progress.BytesRead, progress.BytesTotal)), invocation.Stop.Token);
        bar.Finish();
        if (!invocation.Quiet)
            foreach (var note in dataset.Notes) invocation.Terminal.Error.WriteLine("warning: " + note);
        return dataset;
    }

    private static string Text(RunPlan plan, TrainingOptions options, string? whyNoTime, bool isVerbose)
    {
        var text = new StringBuilder();
        void Line(string name, string value) => text.AppendLine($"{name,-30} {value}");
        Line("model", $"{options.Model}, {Quantities.Count(plan.BaseParameters)} parameters, {Quantities.Count(plan.TrainableParameters)} trained "
            + $"({100.0 * plan.TrainableParameters / plan.BaseParameters:0.##}%)");
        foreach (var share in plan.TrainedShares.Where(share => share.Kind is not ("norms" or "embeddings" or "head") || share.Trained > 0))
            Line("  " + share.Kind, $"{Quantities.Count(share.Trained)} trained beside {Quantities.Count(share.Total)}");
        if (plan.Rows is { } rows)
        {
            Line("rows", $"{Quantities.Count(rows)} trained "
                + $"on, {Quantities.Count(plan.DroppedRows ?? 0)} left out, {Quantities.Count(plan.EvalRows ?? 0)} held out");
            Line("tokens", $"{Quantities.Count(plan.Tokens ?? 0)}, {Quantities.Count(plan.TrainedTokens ?? 0)} of them trained, longest "
                + $"row {Quantities.Count(plan.LongestRow ?? 0)}{(plan.IsFromCache == true ? ", from the cache" : "")}");
        }
        else Line("rows", $"no data named; rows of {Quantities.Count(options.Data.MaxSeqLength)} tokens are assumed");
        if (plan.PackingEfficiency is { } packing) Line("packing", $"{packing * 100:0.#}% of the bins hold tokens");
        Line("steps",
            $"{(plan.TotalSteps is { } steps ? Quantities.Count(steps) : "unknown")}"
            + $"{(plan.StepsPerEpoch is { } epoch ? $", {Quantities.Count(epoch)} a pass over the data" : "")}, {options.BatchSize} x "
            + $"{options.GradientAccumulationSteps} rows each");
        Line("memory",
            $"{Quantities.Bytes(plan.PeakBytes)} of {Quantities.Bytes(plan.MemoryLimitBytes)}, at {Quantities.Count(plan.MicroBatchTokens)} tokens a "
            + $"micro-batch, {(plan.GradientCheckpointing ? "layers recomputed" : "nothing recomputed")}{(plan.Stream ? ", base streamed" : "")}"
            + (plan.StreamMicroBatches > 1 ? $", each layer read once for {plan.StreamMicroBatches} micro-batches" : ""));
        foreach (var part in plan.Memory.OrderByDescending(part => part.Bytes)) Line("  " + part.Name, Quantities.Bytes(part.Bytes));
        if (plan.Device is { } device)
        {
            Line($"memory of {device}", Quantities.Bytes(plan.DevicePeakBytes) + (plan.DeviceLimitBytes is { } has ? $" of {Quantities.Bytes(has)}" : ""));
            foreach (var part in plan.DeviceMemory.OrderByDescending(part => part.Bytes)) Line("  " + part.Name, Quantities.Bytes(part.Bytes));
        }
        if (plan.Share.Ranks > 1)
            Line("  on a machine",
                $"{Quantities.Bytes(plan.MachinePeakBytes)} of {Quantities.Bytes(plan.Share.MachineBytes)} with {plan.Share.Ranks} ranks: "
                + $"{(plan.SharedBytes > 0 ? $"{Quantities.Bytes(plan.SharedBytes)} of the base once, the rest for each" : "nothing of it is shared")}");
        if (isVerbose)
            foreach (var buffer in plan.Buffers.OrderByDescending(buffer => buffer.Bytes)) Line("    " + buffer.Name, Quantities.Bytes(buffer.Bytes));
        Line("disk", $"{Quantities.Bytes(plan.DiskBytes)}{(plan.DiskFreeBytes is { } free ? $" of {Quantities.Bytes(free)} free" : "")}");
        if (plan.Disk.Count > 1)
            foreach (var part in plan.Disk.OrderByDescending(part => part.Bytes)) Line("  " + part.Name, Quantities.Bytes(part.Bytes));
        var microStep = plan.MicroStepSeconds is { } each
            ? $"a micro-step of {Quantities.Count(plan.MicroBatchTokens)} tokens takes {each.ToString("0.00", CultureInfo.InvariantCulture)} s" : null;
        Line("time", plan.Seconds is { } seconds
            ? $"{Quantities.Duration(seconds)}{(plan.EvalRows > 0 ? ", evaluations and checkpoints included" : ", checkpoints included")}; {microStep}"
            : microStep ?? whyNoTime ?? "unknown");
        if (plan.Time.Count > 1)
            foreach (var part in plan.Time) Line("  " + part.Name, Quantities.Duration(part.Seconds));
        if (plan.Ranks is { } ranks) Tell(ranks, Line);
        Line("verdict", plan.Fits ? plan.DiskNote is { } note ? $"it fits in memory, but {note}" : "it fits" : "it does not fit");
        foreach (var change in plan.Changes)
            Line("  " + change.Option, $"{Quantities.Bytes(change.PeakBytes)}{(change.Suffices ? "" : ", still too much alone")} ({change.Cost})");
        return text.ToString();
    }

    private static void Tell(RankPlan ranks, Action<string, string> line)
    {
        static string Seconds(double seconds) => seconds.ToString(seconds < 0.1 ? "0.0000" : seconds < 10 ? "0.00" : "0.0", CultureInfo.InvariantCulture)
            + " s";
        line("ranks",
            $"{ranks.Ranks} over {(ranks.LinkBytesPerSecond * 8 / 1e9).ToString("0.###", CultureInfo.InvariantCulture)} Gbit/s: "
            + $"{ranks.GradientBytes / 1e6:0.0} MB of gradients summed once a "
            + $"step, {Seconds(ranks.RingSeconds)} in a ring, {Seconds(ranks.TreeSeconds)} over a tree");
        if (ranks.UnevenRows is { } uneven)
            line("  uneven rows", $"the rank with the most tokens of a step has {uneven.ToString("0.00", CultureInfo.InvariantCulture)} times the mean");
        line("  a step", ranks is { StepSeconds: { } step, StepSecondsAlone: { } alone, Efficiency: { } share }
            ? $"{Seconds(step)} instead of {Seconds(alone)}: {(alone / step).ToString("0.0", CultureInfo.InvariantCulture)} times as "
                + $"fast, {share * 100:0}% of the time is work"
            : $"not measured; 90% of the time is work where a rank's part takes {Seconds(ranks.GoodPartSeconds)} or more");
    }

    private static int ListSizes(Invocation invocation, SettingValues values)
    {
        var rows = new List<(ModelShape Shape, RunPlan Plan)>();
        foreach (var shape in ModelShape.All)
        {
            using var folder = shape.Write();
            var named = values.Over(new Dictionary<string, SettingValue> { [ModelSettings.Model.Key] = new("--model", [new SettingItem(folder.Path)]) }, []);
            var options = TrainingOptionsReader.Read(named, invocation.Terminal, TimeProvider.System, isPlan: true);
            rows.Add((shape, RunPlanner.Plan(options with { Data = options.Data with { Train = [] } })));
        }
        var output = invocation.Terminal.Out;
        if (invocation.Json)
        {
            output.WriteLine(JsonSerializer.Serialize(new { memory_limit_bytes = rows[0].Plan.MemoryLimitBytes,
                models = rows.Select(row => new { size = row.Shape.Name, example = row.Shape.Example, parameters = row.Plan.BaseParameters,
                peak_bytes = row.Plan.PeakBytes, gradient_checkpointing = row.Plan.GradientCheckpointing,
                fits = row.Plan.PeakBytes <= row.Plan.MemoryLimitBytes }) }, Json.Indented));
            return ExitCode.Done;
        }
        var first = rows[0].Plan;
        output.WriteLine($"with {Quantities.Bytes(first.MemoryLimitBytes)} of memory, {Quantities.Count(first.MicroBatchTokens)} tokens a micro-batch and "
            + "these options:");
        foreach (var (shape, plan) in rows)
            output.WriteLine($"{(plan.PeakBytes <= plan.MemoryLimitBytes ? "fits   " : "too big")} {shape.Name,5} {Quantities.Bytes(plan.PeakBytes),10}  "
                + $"{(plan.Stream ? "base streamed" : plan.GradientCheckpointing ? "layers recomputed" : "nothing recomputed"),-18}  {shape.Example}");
        return ExitCode.Done;
    }

    private sealed class Immediate(Action<DataProgress> show) : IProgress<DataProgress>
    {
        public void Report(DataProgress value) => show(value);
    }
}
