using Trainer.Engine.Native;
using Trainer.Models;
using Trainer.Training.State;

namespace Trainer.Training.Options;

/// <summary>Settings that say which model is used and how it is held.</summary>
public static class ModelSettings
{
#pragma warning disable CS1591 // the help text of each row is its documentation
    private const string Group = "Model";

    public static readonly Setting Model = Setting.Of(o => o.Model, "model", Group,
        "Model folder, .gguf file, hub id found in the Hugging Face cache, or 'tiny' (embedded).") with
    { Short = "-m", Value = "MODEL", Aliases = ["model-name-or-path", "base-model", "model-id"], Drift = DriftRule.Free };

    public static readonly Setting Quantize = Setting.Of(o => o.Quantize, "quantize", Group,
        "How the frozen base is held: 4-bit NormalFloat, 8-bit, or as stored.") with
    { Value = "KIND", Synonyms = new Dictionary<string, string>
        {
            ["4bit"] = "nf4", ["4-bit"] = "nf4", ["4"] = "nf4", ["bnb.nf4"] = "nf4", ["bnb.nf4-dq"] = "nf4", ["bnb-nf4"] = "nf4", ["qlora"] = "nf4",
            ["8bit"] = "int8", ["8-bit"] = "int8", ["8"] = "int8", ["bnb.int8"] = "int8", ["16bit"] = "none", ["false"] = "none", ["no"] = "none",
        }, Aliases = ["quantization"] };

    public static readonly Setting DoubleQuant = Setting.Of(o => o.DoubleQuant, "double-quant", Group,
        "Quantize the absmax values of nf4 too (saves 0.37 bits a weight).") with
    {
        Aliases = ["double-quantization", "use-bnb-nested-quant", "bnb-4bit-use-double-quant", "use-double-quant"],
        Writes = o => o.Quantize == QuantizeKind.Nf4 ? o.DoubleQuant : null,
    };

    public static readonly Setting Dtype = Setting.Of(o => o.Compute, "dtype", Group,
        "Type the frozen base is multiplied in: auto is float32, and bfloat16 where a large model is measured to gain from it; int8 is the fastest " +
        "and rounds the most.") with
    { Value = "TYPE", Synonyms = new Dictionary<string, string>
        {
            ["bf16"] = "bfloat16", ["torch.bfloat16"] = "bfloat16", ["bf16-true"] = "bfloat16", ["bf16-mixed"] = "bfloat16",
            ["fp32"] = "float32", ["f32"] = "float32", ["float"] = "float32", ["torch.float32"] = "float32", ["32-true"] = "float32",
        }, Aliases = ["torch-dtype", "compute"] };

    public static readonly Setting Stream = Setting.Of(o => o.Stream, "stream", Group,
        "Read base weights from disk layer by layer instead of holding them: always, never, or (auto) where they would not fit. A base that is not " +
        "quantized on disk is written there once, in the cache.") with
    { Value = "WHEN", Bare = "on", Drift = DriftRule.LastBit };

    public static readonly Setting StreamMicroBatches = Setting.Of(o => o.StreamMicroBatches, "stream-micro-batches", Group,
        "Micro-batches of a step that each streamed layer is read once for: same values, fewer reads, the residual stream of each kept.") with
    { Value = "N", Minimum = 1, Maximum = 1024, DefaultNote = "as memory allows", Drift = DriftRule.Free };

    public static readonly Setting Device = Setting.Of(o => o.Device, "device", Group,
        "Where to compute: auto, cpu, cuda, cuda:N or mps. What is not there is refused with the reason before anything is read.") with
    { Value = "DEVICE", Reads = ReadDevice, Drift = DriftRule.LastBit };

    public static readonly Setting Threads = Setting.Of(o => o.Threads, "threads", Group, "Compute threads.") with
    { Value = "N", Minimum = 1, Maximum = 1024, DefaultNote = "all cores", Drift = DriftRule.LastBit };

    public static readonly Setting MaxMemory = Setting.Of(o => o.MaxMemoryBytes, "max-memory", Group,
        "Most resident memory, such as 12GiB; the run is refused by the plan, or stopped with a checkpoint, above it; what it leaves free keeps " +
        "more of a streamed base in memory.") with
    { Value = "SIZE", DefaultNote = "the machine's", Drift = DriftRule.Free };

    public static readonly Setting DeviceMemory = Setting.Of(o => o.DeviceMemoryBytes, "device-memory", Group,
        "Memory of the graphics processor that the run must fit, such as 8GiB; 'trainer plan' then needs none here.") with
    { Value = "SIZE", DefaultNote = "the device's", Drift = DriftRule.Free };

    /// <summary>The device as typed, in small letters, or null; a word that is none becomes a fault.</summary>
    public static string? DeviceOf(SettingValues values) => ReadDevice(values, Device);

    private static string? ReadDevice(SettingValues values, Setting setting)
    {
        if (values.Text(setting)?.ToLowerInvariant() is not { } device) return null;
        var isKnown = device is "auto" or "cpu" or "cuda" or "mps" or ComputeDevice.Stand
            || (device.StartsWith("cuda:", StringComparison.Ordinal) && byte.TryParse(device[5..], out _));
        if (!isKnown) values.Fault($"{values.Origin(setting)} '{device}' is not one of auto, cpu, cuda, cuda:N, mps");
        return device;
    }
}
