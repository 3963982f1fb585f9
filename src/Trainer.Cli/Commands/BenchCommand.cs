using System.Text.Json;
using TorchSharp;
using Trainer.Cli.Benching;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Options;
using Trainer.Cli.Rendering;
using Trainer.Engine.Fast.Bench;
using Trainer.Models;
using Trainer.Training;
using Trainer.Training.Options;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer bench</c>: tokens a second and memory of real steps, beside what the machine can do at most.</summary>
internal static class BenchCommand
{
    private static readonly Setting Steps = new("steps", SettingKind.Integer, "Measurement",
        "Steps to measure, after those that warm up.") { Short = "-n", Value = "N", Minimum = 1, Maximum = 10000, DefaultNote = "8, or 3 of a shape" };

    public static readonly CommandSpec Spec = new("bench", "Tokens a second and memory of training steps, against the machine's ceiling.", Run)
    {
        Group = "Machine",
        Description = "Trains for a few steps into a temporary folder; the ceiling is a matrix product of 1024 x 1024 in float32, and beside it in the "
            + "compute type, measured in the same minute. With --shape it makes a model of random weights and shows the machine's ceilings, what the step "
            + "reached of them, and where its time went.",
        Settings =
        [
            ModelSettings.Model with { Default = "tiny" }, ModelSettings.Quantize, ModelSettings.DoubleQuant, ModelSettings.Dtype, ModelSettings.Device,
            CommonSettings.Libtorch, ModelSettings.Threads, DataSettings.Data with { Default = "demo" }, DataSettings.MaxSeqLength, DataSettings.OnTooLong,
            DataSettings.Packing, AdapterSettings.Rank, AdapterSettings.Dropout, StepSettings.BatchSize, StepSettings.Accumulation,
            StepSettings.Checkpointing, ModelSettings.Stream,
            ShapeBench.Shape, ShapeBench.Sequence, ShapeBench.Layers, ShapeBench.Cores, ShapeBench.Beside, Steps,
            CommonSettings.Json,
        ],
        Examples = [("trainer bench", ""), ("trainer bench --model MODEL --data rows.jsonl --batch-size 4", ""),
            ("trainer bench --shape llama-3.2-1b --seq 512", "What a 1B model would take on this machine."),
            ("trainer bench --shape llama-3.1-8b --seq 2048 --simulate-cores 64 --steps 1", "And an 8B model on 64 cores.")],
    };

    private static readonly Setting[] OnlyOfShapes = [ShapeBench.Sequence, ShapeBench.Layers, ShapeBench.Cores, ShapeBench.Beside];

    // Random weights are NF4 and have no text: what describes a model, its form or its rows says something else.
    private static readonly Setting[] NotOfShapes =
    [
        ModelSettings.Model, ModelSettings.Quantize, ModelSettings.DoubleQuant, DataSettings.Data, DataSettings.MaxSeqLength, DataSettings.OnTooLong,
        DataSettings.Packing, StepSettings.Accumulation,
    ];

    private static readonly Setting[] NotOfCores = [ModelSettings.Threads, ModelSettings.Stream, ShapeBench.Beside];

    private static int Run(Invocation invocation)
    {
        if (invocation.Values.Has(ShapeBench.Shape)) return OfShape(invocation);
        foreach (var setting in OnlyOfShapes)
            if (invocation.Values.Has(setting))
                invocation.Values.Fault($"{setting.Option} goes with {ShapeBench.Shape.Option} alone: real rows have their own length; leave it away");
        invocation.Values.ThrowIfFaulty();
        var values = Defaulted(invocation.Values);
        var options = TrainingOptionsReader.Read(values, invocation.Terminal, TimeProvider.System);
        var steps = values.Integer(Steps) ?? 8;
        values.ThrowIfFaulty();
        var folder = Directory.CreateTempSubdirectory("trainer-bench-").FullName;
        var history = new RunHistory();
        try
        {
            invocation.Stop.Watch("");
            TrainingRun.Run(options with { OutputDirectory = Path.Combine(folder, "run"), MaxSteps = steps + 2, SaveSteps = 0, LoggingSteps = 1,
                AllowHighLoss = true }, [history], invocation.Stop.Token);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
        var measured = history.Steps.Skip(2).ToList();
        var tokensPerSecond = measured.Select(step => step.TokensPerSecond).Order().ElementAt(measured.Count / 2);
        // A frozen weight costs a multiply and an add a token forward, and as many backward for the input's gradient.
        var reached = tokensPerSecond * 4 * history.Started!.TotalParameters;
        var compute = history.Started.Compute;
        var ceiling = Ceiling(ComputeKind.Float32);
        var narrow = compute == ComputeKind.Float32 ? (double?)null : Ceiling(compute);
        var result = new { model = options.Model, tokens_per_second = tokensPerSecond, memory_bytes = measured.Max(step => step.MemoryBytes), steps,
            flops_per_second = reached, ceiling_flops_per_second = ceiling, share_of_ceiling = reached / ceiling,
            compute = compute.ToString().ToLowerInvariant(), compute_ceiling_flops_per_second = narrow ?? ceiling, threads = torch.get_num_threads() };
        invocation.Terminal.Out.WriteLine(invocation.Json ? JsonSerializer.Serialize(result, Json.Indented)
            : $"{options.Model}: {tokensPerSecond:0} tokens/s (median "
                + $"of {steps} steps), {Quantities.Bytes(result.memory_bytes)} resident\n{reached / 1e9:0.#} GFLOP/s without "
                + $"recomputation, {100 * result.share_of_ceiling:0.#}% of the {ceiling / 1e9:0} GFLOP/s of a float32 matrix product "
                + $"on {result.threads} threads{(narrow is null ? "" : $" ({result.compute}: {narrow / 1e9:0} GFLOP/s)")}");
        return ExitCode.Done;
    }

    private static int OfShape(Invocation invocation)
    {
        var values = invocation.Values;
        foreach (var setting in NotOfShapes)
            if (values.Has(setting))
                values.Fault($"{setting.Option} does not go with {ShapeBench.Shape.Option}, which makes random weights and tokens of its own; leave one of "
                    + "them away");
        if (ModelSettings.DeviceOf(values) is { } device && device is not ("auto" or "cpu"))
            values.Fault($"{ShapeBench.Shape.Option} measures the processor alone; leave {ModelSettings.Device.Option} {device} away, or measure a run "
                + $"without {ShapeBench.Shape.Option}");
        if (values.Has(ShapeBench.Cores))
            foreach (var setting in NotOfCores)
                if (values.Has(setting))
                    values.Fault($"{setting.Option} does not go with {ShapeBench.Cores.Option}, which computes on one core from memory; leave one of them "
                        + "away");
        values.ThrowIfFaulty();
        return ShapeBench.Run(invocation, values.Integer(Steps) ?? 3);
    }

    private static SettingValues Defaulted(SettingValues values) => values.Over(new Dictionary<string, SettingValue>
    {
        [ModelSettings.Model.Key] = new("--model", [new SettingItem("tiny")]),
        [DataSettings.Data.Key] = new("--data", [new SettingItem("demo")]),
    }, []);

    private static double Ceiling(ComputeKind kind) => Ceilings.Products([(1024, 1024, 1)], 1024, kind) * 1e9;
}
