using Trainer.Engine.Fast;
using Trainer.Models;
using Trainer.Models.Families;
using Trainer.Models.Parts;

namespace Trainer.Engine.Tests.Models;

/// <summary>The golden models of the larger reference data, and the gates that their own noise allows.</summary>
internal static class GoldenFamilies
{
    private static string Root { get; } = Path.GetFullPath(Path.Combine(Golden.Root, "..", "..", "..", "..", "shared", "golden", "transformers"));

    /// <summary>Names of all models; one empty name where the data is absent.</summary>
    public static IEnumerable<string> Models => Names("models");

    /// <summary>Names of all LoRA runs.</summary>
    public static IEnumerable<string> LoraRuns
        => Names("lora").Where(name => name.Length == 0
            || !(Directory.Exists(Golden.Folder("lora", name)) || name.EndsWith(".safetensors", StringComparison.Ordinal)));

    /// <summary>Largest difference of a logit: the references themselves are this far from double precision, attention of scale 1, recurrences and
    /// decompositions farther than the rest.</summary>
    public static double LogitGate(string name) => IsNoisy(name) || IsDecomposed(name) ? 3e-4 : Golden.LogitGate;

    /// <summary>Largest difference of a gradient, as a share of the tensor's largest.</summary>
    public static double GradientGate(string name)
        => IsNoisy(Path.GetFileName(name)) ? 1e-3 : IsDecomposed(name) ? 5 * Golden.GradientGate : 2 * Golden.GradientGate;

    /// <summary>Largest difference of a loss.</summary>
    public static double LossGate(string name) => IsNoisy(name) ? 3e-5 : Golden.LossGate;

    /// <summary>The engines that compute a model: the hand-written ones too where they do; dense families that turn halves are theirs in tests of their
    /// own.</summary>
    public static IReadOnlyList<EngineKind> Engines(string folder)
        => ConfigLoader.Load(folder) is { } config && FastFamilies.Refusal(config) is null && (config.Experts is not null || config.HasRecurrentState
            || config.Ropes.Any(rope => rope.IsInterleaved) || config.Layers.Any(layer => layer.HasScalar)
            || config.Layers.Any(layer => layer.Mixer is SelfAttention { Temperature: not null } or SelfAttention { NormsRotated: true }))
        ? [EngineKind.Reference, EngineKind.Fast, EngineKind.Libtorch]
        : [EngineKind.Reference];

    // The frozen half comes from another library's decomposition in float32.
    private static bool IsDecomposed(string name) => name.EndsWith("_pissa", StringComparison.Ordinal) || name.EndsWith("_olora", StringComparison.Ordinal);

    private static bool IsNoisy(string name)
        => name.StartsWith("qwen3_5", StringComparison.Ordinal)
            || name is "qwen3_next" or "gpt_oss" or "gpt_oss_mxfp4" or "gemma4_e2b" or "mistral3_ministral3";

    private static IEnumerable<string> Names(string kind)
    {
        var folder = Path.Combine(Root, kind);
        return Directory.Exists(folder) ? Directory.GetDirectories(folder).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal) : [""];
    }
}
