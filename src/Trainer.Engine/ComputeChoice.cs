using System.Globalization;
using Trainer.Engine.Fast;
using Trainer.Engine.Fast.Cpu;
using Trainer.Models;
using Trainer.Numerics.Half;

namespace Trainer.Engine;

/// <summary>What <c>auto</c> comes to: a compute type, and in words why.</summary>
/// <param name="Kind">float32 or bfloat16.</param>
/// <param name="Reason">A sentence where something was measured, else null.</param>
public sealed record ComputeChoice(ComputeKind Kind, string? Reason)
{
    // Small models gain seconds, and their runs are compared byte for byte between machines: nothing is measured for them.
    internal const long LeastParameters = 300_000_000;
    internal const int LeastHidden = 1025;

    // With units an idle machine measures 1.7 and 1.8 against our tiles, without them 0.2. A busy one may measure less than this with them, and then keeps
    // float32.
    internal const double LeastGain = 1.3;

    /// <summary>float32, except where bfloat16 units exist, the model is large, the hand-written engine computes it and a measurement of a fraction of a second
    /// shows a clear gain; on GPUs bfloat16.</summary>
    /// <param name="model">A loaded model with its adapter.</param>
    /// <param name="tokens">Tokens of a micro-batch.</param>
    public static ComputeChoice For(CausalModel model, long tokens)
    {
        if (model.Options.Device != "cpu") return new ComputeChoice(ComputeKind.BFloat16, null);
        if (model.Options.Engine is EngineKind.Reference or EngineKind.Libtorch || FastCapabilities.Refusal(model) is not null)
            return new ComputeChoice(ComputeKind.Float32, null);
        var largest = model.Linears.MaxBy(linear => linear.OutFeatures * linear.InFeatures)!;
        return Decide(BFloat16Units.ArePresent, model.Config.HiddenSize, model.ParameterCount,
            () => ProductRace.Gain(tokens, largest.OutFeatures, largest.InFeatures));
    }

    /// <summary>Whether auto measures on this processor, and may so come to bfloat16.</summary>
    /// <param name="hidden">Width of the residual stream.</param>
    /// <param name="parameters">Parameters of the base.</param>
    public static bool MayMeasure(int hidden, long parameters) => MayMeasure(BFloat16Units.ArePresent, hidden, parameters);

    /// <summary>What to warn of where the user chose the type, or null.</summary>
    /// <param name="kind">The type asked for.</param>
    /// <param name="device">Where it computes.</param>
    public static string? Warning(ComputeKind kind, string device) => Warning(kind, device, BFloat16Units.ArePresent);

    internal static string? Warning(ComputeKind kind, string device, bool hasUnits) => kind == ComputeKind.BFloat16 && device == "cpu" && !hasUnits
        ? "this processor has no bfloat16 units: --dtype bfloat16 computes what was asked for, and several times slower than float32"
        : null;

    internal static ComputeChoice Decide(bool hasUnits, int hidden, long parameters, Func<double> measureGain)
    {
        if (!MayMeasure(hasUnits, hidden, parameters)) return new ComputeChoice(ComputeKind.Float32, null);
        var gain = measureGain();
        var measured = $"bfloat16 products run {gain.ToString("0.0", CultureInfo.InvariantCulture)} times as fast as float32's here";
        return gain >= LeastGain
            ? new ComputeChoice(ComputeKind.BFloat16, $"{measured}: the base is multiplied in bfloat16 (--dtype float32 does not)")
            : new ComputeChoice(ComputeKind.Float32, $"{measured}, not clearly faster: the base is multiplied in float32");
    }

    private static bool MayMeasure(bool hasUnits, int hidden, long parameters) => hasUnits && hidden >= LeastHidden && parameters >= LeastParameters;
}
