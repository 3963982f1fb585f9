using System.Text.Json;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Options;
using Trainer.Cli.Rendering;
using Trainer.Engine.Quantize;
using Trainer.Numerics.Machine;
using Trainer.Training.Options;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer quantize</c>: a model folder with 4-bit weights, as bitsandbytes lays them out.</summary>
internal static class QuantizeCommand
{
    private static readonly Setting Output = new("output", SettingKind.Text, "Output",
        "Folder to write.") { Short = "-o", Value = "DIR", Aliases = ["output-dir"] };

    private static readonly Setting MaxShard = new("max-shard-size", SettingKind.Bytes, "Output", "Largest weights file.") { Value = "SIZE", Default = "5GB" };

    public static readonly CommandSpec Spec = new("quantize", "Write an NF4 model folder in the bitsandbytes layout, one tensor at a time.", Run)
    {
        Group = "Models",
        Description = "Every linear weight becomes 4-bit NormalFloat in blocks of 64; one tensor is in memory at a time. A broken-off run continues.",
        Settings = [ModelSettings.Model, Output, MaxShard, ModelSettings.DoubleQuant, ModelSettings.Threads, CommonSettings.Json],
        Examples = [("trainer quantize --model NousResearch/Hermes-3-Llama-3.1-8B --output models/hermes-8b-nf4", "")],
    };

    private static int Run(Invocation invocation)
    {
        var values = invocation.Values;
        var model = ModelReference.Read(values);
        var output = values.Text(Output);
        if (output is null) values.Fault("no output folder; add --output DIR");
        var (nested, threads) = (values.Flag(ModelSettings.DoubleQuant) ?? true, values.Integer(ModelSettings.Threads) ?? MachineLimits.Processors);
        var shard = values.Bytes(MaxShard) ?? 5_000_000_000;
        values.ThrowIfFaulty();
        var bar = new ProgressLine(invocation.Terminal, invocation.Quiet);
        invocation.Stop.Leave = bar.Finish;
        invocation.Stop.Watch("stopping; the same command continues");
        var report = ModelQuantizer.Quantize(model.ThrowIfAbsent(), output!,
            new QuantizeOptions { DoubleQuantize = nested, Threads = threads, MaxShardBytes = shard,
            Progress = (done, total) => bar.Show("quantizing", done, total) }, invocation.Stop.Token);
        bar.Finish();
        if (invocation.Json)
        {
            invocation.Terminal.Out.WriteLine(JsonSerializer.Serialize(report, Json.Indented));
            return ExitCode.Done;
        }
        if (!invocation.Quiet)
            invocation.Terminal.Error.WriteLine($"{report.Quantized} weights to nf4, {report.Kept} tensors as they "
                + $"were: {Quantities.Bytes(report.BytesBefore)} -> {Quantities.Bytes(report.BytesAfter)}");
        invocation.Terminal.Out.WriteLine(output);
        return ExitCode.Done;
    }
}
