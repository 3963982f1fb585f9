using System.Text.Json;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Rendering;
using Trainer.Engine.Fast.Bench;
using Trainer.Engine.Native;
using Trainer.Models;
using Trainer.Models.Families;
using Trainer.Models.Lora;
using Trainer.Training.Options;

namespace Trainer.Cli.Benching;

/// <summary><c>trainer bench --shape</c>: steps of a model with random 4-bit weights, so that a size can be judged before its weights are downloaded.</summary>
internal static class ShapeBench
{
    public static readonly Setting Shape = new("shape", SettingKind.Text, "Random weights",
        "Measure a model of this shape with random 4-bit weights instead: " + string.Join(", ", ModelShape.Known.Select(shape => shape.Name))
        + "; or the sizes of a config.json.") { Value = "NAME|PATH" };

    public static readonly Setting Layers = new("layers", SettingKind.Integer, "Random weights",
        "Fewer layers of that shape, for a small disk.") { Value = "N", Minimum = 1, Maximum = 10000 };

    public static readonly Setting Sequence = new("seq", SettingKind.Integer, "Random weights",
        "Tokens a row.") { Value = "N", Minimum = 1, Maximum = 1 << 20, Default = "512", Aliases = ["sequence-length"] };

    public static readonly Setting Cores = new("simulate-cores", SettingKind.Integer, "Random weights",
        "Compute on one core as N would share the work, and show by part how many times as fast N cores are.") { Value = "N", Minimum = 2, Maximum = 1024 };

    public static readonly Setting Beside = new("beside", SettingKind.Integer, "Random weights",
        "Measure the steps once more beside N loops that keep a core busy each.") { Value = "N", Minimum = 1, Maximum = 1024 };

    public static int Run(Invocation invocation, int steps)
    {
        var values = invocation.Values;
        var whole = Find(values);
        var (shape, head, cores) = (whole, (ModelShape?)null, values.Integer(Cores));
        if (cores is not null) (shape, head) = (CoresBench.Body(whole, values.Integer(Layers)), CoresBench.Head(whole));
        else if (values.Integer(Layers) is { } layers) shape = shape with { Name = $"{shape.Name}-{layers}-layers", Layers = layers };
        var root = Path.Combine(Path.GetTempPath(), $"trainer-bench-{Environment.ProcessId}");
        var options = new BenchOptions
        {
            Folder = Path.Combine(root, shape.Name),
            HeadFolder = head is null ? null : Path.Combine(root, head.Name),
            Batch = values.Integer(StepSettings.BatchSize) ?? 1,
            Sequence = values.Integer(Sequence) ?? 512,
            Rank = values.Integer(AdapterSettings.Rank) ?? LoraSpec.DefaultRank,
            Dropout = values.Number(AdapterSettings.Dropout) ?? 0,
            Beside = values.Integer(Beside) ?? 0,
            Steps = steps,
            Checkpointing = values.Word(StepSettings.Checkpointing) is not "none",
            Stream = values.Word(ModelSettings.Stream) is "on",
            Compute = values.Choice<ComputeKind>(ModelSettings.Dtype) is { } compute and not ComputeKind.Auto ? compute : ComputeKind.Float32,
        };
        values.ThrowIfFaulty();
        ComputeThreads.Use(values.Integer(ModelSettings.Threads));
        Directory.CreateDirectory(root);
        try
        {
            ModelShape[] written = head is null ? [shape] : [shape, head];
            Room(root, written.Sum(RandomModelFolder.BytesOf));
            if (!invocation.Json)
                invocation.Terminal.Error.WriteLine($"writing {Quantities.Bytes(written.Sum(RandomModelFolder.BytesOf))} of random weights");
            foreach (var one in written) RandomModelFolder.Write(Path.Combine(root, one.Name), one, 1);
            void Tell(string line)
            {
                if (!invocation.Json) invocation.Terminal.Error.WriteLine(line);
            }
            if (cores is { } workers) Write(invocation, CoresBench.Run(options, whole, workers, Tell));
            else Write(invocation, StepBench.Run(options, Tell));
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
        return ExitCode.Done;
    }

    private static ModelShape Find(SettingValues values)
    {
        var name = values.Text(Shape)!;
        if (ModelShape.Find(name) is { } known) return known;
        var folder = File.Exists(name) ? Path.GetDirectoryName(Path.GetFullPath(name))! : name;
        if (File.Exists(Path.Combine(folder, "config.json"))) return ModelShape.Of(Path.GetFileName(Path.GetFullPath(folder)), ConfigLoader.Load(folder));
        throw new UsageException($"unknown shape (--shape '{name}'): it is neither one "
            + $"of {string.Join(", ", ModelShape.Known.Select(shape => shape.Name))} nor a folder with a config.json; name one of these");
    }

    private static void Room(string folder, long bytes)
    {
        var (needed, free) = (bytes * 1.02, new DriveInfo(folder).AvailableFreeSpace);
        if (needed > free)
            throw new CommandFailedException(ExitCode.CannotWrite,
                $"no room for the random weights ({folder}): {Quantities.Bytes((long)needed)} are needed and {Quantities.Bytes(free)} are free; set TMPDIR to "
                + "a larger disk, or measure fewer --layers");
    }

    private static void Write(Invocation invocation, BenchReport report)
    {
        if (invocation.Json)
        {
            invocation.Terminal.Out.WriteLine(JsonSerializer.Serialize(new
            {
                shape = report.Shape.Name, layers = report.Shape.Layers, batch = report.Options.Batch, sequence = report.Options.Sequence,
                threads = report.Threads,
                copy_bytes_per_second = report.CopyGigabytes * 1e9, multiply_add_peak_per_second = report.PeakGigaflops * 1e9,
                ceiling_flops_per_second = report.CeilingGigaflops * 1e9,
                flops_per_second = report.UsefulGigaflops * 1e9, executed_flops_per_second = report.ExecutedGigaflops * 1e9,
                share_of_ceiling = report.UsefulShare, executed_share_of_ceiling = report.ExecutedShare,
                executed_share_of_peak = report.PeakShare, busy_loops = report.Options.Beside, step_seconds_beside = report.BesideSeconds,
                times_as_long_beside = report.BesideRatio,
                step_seconds = report.StepSeconds, tokens_per_second = report.TokensPerSecond, memory_bytes = report.PeakBytes,
                seconds_by_part = report.Parts.ToDictionary(part => part.Part, part => part.Seconds),
            }, Json.Indented));
            return;
        }
        foreach (var line in report.Lines()) invocation.Terminal.Out.WriteLine(line);
    }

    private static void Write(Invocation invocation, CoresReport report)
    {
        object Of(CoresPart part) => new { seconds_on_one_core = part.One, seconds_on_all = part.Many, seconds_in_no_loop = part.Alone, speed_up = part.SpeedUp,
            efficiency = part.SpeedUp / report.Model.Workers };
        if (invocation.Json)
        {
            invocation.Terminal.Out.WriteLine(JsonSerializer.Serialize(new
            {
                shape = report.Shape.Name, layers = report.Shape.Layers, measured_layers = report.MeasuredLayers, batch = report.Options.Batch,
                sequence = report.Options.Sequence, dropout = report.Options.Dropout, simulated_cores = report.Model.Workers,
                fork_join_seconds_of_two_threads = report.ForkJoinOfTwo, fork_join_seconds = report.Model.ForkJoin,
                loops = report.Counts.Loops, chunks = report.Counts.Chunks, loops_with_fewer_chunks_than_cores = report.Counts.NarrowLoops,
                seconds_of_these = report.Counts.NarrowSeconds, seconds_in_no_loop = report.ComputedSeconds - report.Counts.LoopSeconds,
                seconds_of_a_computed_step = report.ComputedSeconds,
                parts = report.Parts.ToDictionary(part => part.Name, Of), step = Of(report.Step),
            }, Json.Indented));
            return;
        }
        foreach (var line in report.Lines()) invocation.Terminal.Out.WriteLine(line);
    }
}
