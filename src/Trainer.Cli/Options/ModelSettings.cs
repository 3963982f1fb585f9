using Trainer.Cli.CommandLine;

namespace Trainer.Cli.Options;

/// <summary>Settings that say which model is used and how it is held.</summary>
internal static class ModelSettings
{
    private const string Group = "Model";

    public static readonly Setting Model = new("model", SettingKind.Text, Group, "Model folder, hub id found in the Hugging Face cache, or 'tiny' (embedded).")
    { Short = "-m", Value = "MODEL", InRecipe = true, Aliases = ["model-name-or-path", "base-model", "model-id"] };

    public static readonly Setting Quantize = new("quantize", SettingKind.Choice, Group, "How the frozen base is held: 4-bit NormalFloat, 8-bit, or as stored.")
    { Value = "KIND", Choices = ["nf4", "int8", "none"], Default = "nf4", InRecipe = true, Aliases = ["quantization"] };

    public static readonly Setting DoubleQuant = new("double-quant", SettingKind.Flag, Group, "Quantize the absmax values of nf4 too (saves 0.37 bits a weight).")
    { Default = "true", InRecipe = true, Aliases = ["double-quantization", "use-bnb-nested-quant", "bnb-4bit-use-double-quant", "use-double-quant"] };

    public static readonly Setting Dtype = new("dtype", SettingKind.Choice, Group, "Type the frozen base is multiplied in: auto is float32, and bfloat16 where a large model is measured to gain from it; int8 is the fastest and rounds the most.")
    { Value = "TYPE", Choices = ["auto", "float32", "bfloat16", "int8"], Default = "auto", InRecipe = true, Aliases = ["torch-dtype", "compute"] };

    public static readonly Setting Stream = new("stream", SettingKind.Choice, Group, "Read base weights from disk layer by layer instead of holding them: always, never, or (auto) where they would not fit. A base that is not quantized on disk is written there once, in the cache.")
    { Value = "WHEN", Choices = ["auto", "on", "off"], Default = "auto", Bare = "on", InRecipe = true };

    public static readonly Setting Device = new("device", SettingKind.Choice, Group, "Where to compute.")
    { Value = "DEVICE", Choices = ["auto", "cpu", "cuda"], Default = "auto", InRecipe = true };

    public static readonly Setting Threads = new("threads", SettingKind.Integer, Group, "Compute threads.")
    { Value = "N", Minimum = 1, Maximum = 4096, DefaultNote = "all cores", InRecipe = true };

    public static readonly Setting MaxMemory = new("max-memory", SettingKind.Bytes, Group, "Most resident memory, such as 12GiB; the run is refused by the plan, or stopped with a checkpoint, above it; what it leaves free keeps more of a streamed base in memory.")
    { Value = "SIZE", DefaultNote = "the machine's", InRecipe = true };
}
