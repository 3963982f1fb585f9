using System.Globalization;
using System.Text.Json;
using Trainer.Adapters.Merge;
using Trainer.Checkpoints.Safetensors;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Options;
using Trainer.Cli.Rendering;
using Trainer.Engine;
using Trainer.Models;
using Trainer.Models.Families;
using Trainer.Numerics.Machine;
using Trainer.Tokenizers;
using Trainer.Training.Options;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer merge</c>: base and adapter as one model folder, with the difference measured.</summary>
internal static class MergeCommand
{
    // Any text will do: the two models are compared on the same tokens.
    private const string Sample = "The quick brown fox jumps over the lazy dog. 12 + 30 = 42; what else is there to say?";
    private static readonly Setting Output = new("output", SettingKind.Text, "Output",
        "Folder to write.") { Short = "-o", Value = "DIR", Aliases = ["output-dir"] };
    private static readonly Setting Type = new("type", SettingKind.Choice, "Output",
        "Type of the merged weights.") { Value = "TYPE", Choices = ["f32", "f16", "bf16"], DefaultNote = "the base's" };
    private static readonly Setting MaxShard = new("max-shard-size", SettingKind.Bytes, "Output", "Largest weights file.") { Value = "SIZE", Default = "5GB" };
    private static readonly Setting Check = new("check", SettingKind.Flag, "Output",
        "Do not load both models to measure how far their logits are apart.") { Default = "true", ShownAsNo = true };

    private static readonly Setting MaxDrift = new("max-drift", SettingKind.Number, "Output",
        "Refuse, and take the folder away again, where any logit differs from base and adapter by more.") { Value = "X", Minimum = 0,
        DefaultNote = "no limit" };

    public static readonly CommandSpec Spec = new("merge", "Put an adapter into its base: one Hugging Face model folder.", Run)
    {
        Group = "Models",
        Description = "Writes a sharded model folder, a few rows of weights in memory at a time, and measures how far its logits are from base and adapter. "
            + "With --quantize nf4 the adapter is put onto the 4-bit values it was trained on.",
        Positional = "[RUN]",
        PositionalHelp = "A run or adapter folder; same as --adapter.",
        MaxPositionals = 1,
        Settings = [ModelSettings.Model with { DefaultNote = "the base the adapter names" }, ReadingSettings.Adapter,
            ReadingSettings.Quantize with { Choices = ["nf4", "none"] }, ModelSettings.DoubleQuant, Output, Type, MaxShard, Check, MaxDrift,
            ModelSettings.Threads, CommonSettings.Json],
        Examples = [("trainer merge runs/a --output models/a", "")],
    };

    private static int Run(Invocation invocation)
    {
        var values = invocation.Positionals.Count == 0 ? invocation.Values : RunFolders.Expand(invocation.Values, invocation.Positionals[0]);
        var output = values.Text(Output);
        if (output is null) values.Fault("no output folder; add --output DIR");
        var options = new MergeOptions
        {
            OntoQuantized = values.Word(ReadingSettings.Quantize with { Choices = ["nf4", "none"] }) == "nf4",
            DoubleQuantize = values.Flag(ModelSettings.DoubleQuant) ?? true,
            Type = values.Word(Type) switch { "f32" => SafetensorsDtype.F32, "f16" => SafetensorsDtype.F16, "bf16" => SafetensorsDtype.BF16, _ => null },
            MaxShardBytes = values.Bytes(MaxShard) ?? 5_000_000_000,
            Threads = values.Integer(ModelSettings.Threads) ?? MachineLimits.Processors,
        };
        var check = values.Flag(Check) ?? true;
        var maxDrift = values.Number(MaxDrift);
        if (!check && maxDrift is not null) values.Fault("--max-drift needs the check that --no-check leaves out; drop one of them");
        var source = AdapterSource.Read(values, needsWeights: true);
        ReadingSettings.SayIfTrainedQuantized(invocation, source.Folder, source.ModelFolder);
        // Before the hours of merging, not after them.
        var batch = check ? TokenBatch.OfTokens(SampleIds(source.ModelFolder)) : null;
        var bar = new ProgressLine(invocation.Terminal, invocation.Quiet);
        invocation.Stop.Leave = bar.Finish;
        invocation.Stop.Watch("stopping; the same command continues");
        var report = ModelMerger.Merge(source.ModelFolder, source.Folder, output!,
            options with { Progress = (done, total) => bar.Show("merging", done, total) }, invocation.Stop.Token);
        bar.Finish();
        var trained = new ModelLoadOptions { Quantize = options.OntoQuantized ? QuantizeKind.Nf4 : QuantizeKind.None, DoubleQuantize = options.DoubleQuantize };
        var drift = batch is null ? null : MergeDrift.Measure(source.ModelFolder, source.Folder, output!, trained, batch);
        if (drift is not null && !(drift.Largest <= (maxDrift ?? double.PositiveInfinity)))
        {
            Directory.Delete(output!, recursive: true);
            throw new CommandFailedException(ExitCode.BadData,
                string.Create(CultureInfo.InvariantCulture,
                $"the merged model's logits differ from base and adapter by {drift.Largest:0.0e+0} ({output}): --max-drift "
                + $"allows {maxDrift:0.0e+0}, so the folder was taken away; merge onto the values the adapter was trained on (--quantize), or allow more"));
        }
        if (invocation.Json)
        {
            invocation.Terminal.Out.WriteLine(JsonSerializer.Serialize(new { output, merged = report.Merged, replaced = report.Replaced, copied = report.Copied,
                is_untied = report.IsUntied, largest_drift = drift?.Largest, mean_drift = drift?.Mean, agreement = drift?.Agreement,
                adapter_kept = report.Survival.Share, adapter_error = report.Survival.Error }, Json.Indented));
            return ExitCode.Done;
        }
        if (!invocation.Quiet)
        {
            invocation.Terminal.Error.WriteLine($"{report.Merged} tensors changed, {report.Replaced} taken whole, {report.Copied} as they were");
            if (report.Survival.Share is { } share) invocation.Terminal.Error.WriteLine(Kept(share, report.Survival.Error!.Value));
            if (drift is not null)
                invocation.Terminal.Error.WriteLine($"logits differ from base and adapter by {drift.Largest:0.0e+0} at most, {drift.Mean:0.0e+0} on average; "
                    + $"the likeliest token is the same at {drift.Agreement * 100:0.#}% of positions");
        }
        invocation.Terminal.Out.WriteLine(output);
        return ExitCode.Done;
    }

    // Steps of a narrow type may be wider than what training changed.
    private static string Kept(double share, double error)
    {
        var told = string.Create(CultureInfo.InvariantCulture, $"{share * 100:0.##}% of the adapter's change is in the written weights, beside rounding "
            + $"of {error * 100:0.##}% of its size");
        return Math.Abs(share - 1) <= 0.1 && error <= 0.5
            ? told : $"warning: {told}: their type is too coarse for it; keep the adapter beside its base, or merge with --type f32";
    }

    // A folder of weights alone has no tokenizer, and needs none to be merged.
    private static int[] SampleIds(string folder)
    {
        if (File.Exists(Path.Combine(folder, "tokenizer.json")) || File.Exists(Path.Combine(folder, "tokenizer.model")))
            return HfTokenizer.Load(folder).Encode(Sample, addSpecialTokens: true).Ids;
        var vocabulary = ConfigLoader.Load(folder).VocabularySize;
        return [.. Enumerable.Range(0, 32).Select(i => (int)((i * 7919L + 11) % vocabulary))];
    }
}
