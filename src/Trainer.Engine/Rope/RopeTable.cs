using Trainer.Models.Config;

namespace Trainer.Engine.Rope;

/// <summary>
/// Inverse frequencies of a rotary embedding in float32, in the order of operations of transformers' modeling_rope_utils,
/// so that positions far out agree to the last bits.
/// </summary>
internal static class RopeTable
{
    /// <summary>Inverse frequencies (dimensions / 2) and the multiplier of cosine and sine.</summary>
    /// <param name="rope">The embedding.</param>
    /// <param name="length">Length of the longest sequence of the batch, which LongRoPE and dynamic scaling look at.</param>
    public static (float[] Frequencies, double Multiplier) Make(RopeConfig rope, int length) => rope.Kind switch
    {
        RopeKind.Default => (Plain(rope.Theta, rope.Dimensions), 1),
        RopeKind.Proportional => ([.. Plain(rope.Theta, rope.Dimensions).Select((f, i) => i < rope.TurnedPairs ? f : 0f)], 1),
        RopeKind.Linear => ([.. Plain(rope.Theta, rope.Dimensions).Select(f => f / (float)rope.Factor!.Value)], 1),
        RopeKind.Dynamic => (Plain(DynamicTheta(rope, length), rope.Dimensions), 1),
        RopeKind.Llama3 => (Llama3(rope), 1),
        RopeKind.Yarn => Yarn(rope),
        RopeKind.LongRope => LongRope(rope, length),
        _ => throw new ArgumentOutOfRangeException(nameof(rope)),
    };

    /// <summary>Whether the frequencies depend on the length.</summary>
    public static bool DependsOnLength(RopeConfig rope) => rope.Kind is RopeKind.Dynamic or RopeKind.LongRope;

    /// <summary>Whether a text that grows from one length to another must be computed anew: LongRoPE changes all its frequencies at once, and keys turned by
    /// the former fit no query of the latter.</summary>
    public static bool ChangesBetween(RopeConfig rope, int from, int to)
        => rope.Kind == RopeKind.LongRope && from > rope.OriginalMaxPositions != to > rope.OriginalMaxPositions;

    private static float[] Plain(double theta, int dimensions)
    {
        var frequencies = new float[dimensions / 2];
        for (var i = 0; i < frequencies.Length; i++) frequencies[i] = 1f / Power(theta, i, dimensions);
        return frequencies;
    }

    private static float Power(double theta, int i, int dimensions) => MathF.Pow((float)theta, 2 * i / (float)dimensions);

    private static double DynamicTheta(RopeConfig rope, int length)
    {
        double factor = rope.Factor!.Value, d = rope.Dimensions;
        var reached = Math.Max(length, rope.MaxPositions);
        return rope.Theta * Math.Pow(factor * reached / rope.MaxPositions - (factor - 1), d / (d - 2));
    }

    private static float[] Llama3(RopeConfig rope)
    {
        var frequencies = Plain(rope.Theta, rope.Dimensions);
        double factor = rope.Factor!.Value, original = rope.OriginalMaxPositions;
        var (low, high) = (rope.LowFrequencyFactor, rope.HighFrequencyFactor);
        for (var i = 0; i < frequencies.Length; i++)
        {
            var wavelength = 2 * MathF.PI / frequencies[i];
            var scaled = wavelength > original / low ? frequencies[i] / (float)factor : frequencies[i];
            if (wavelength >= original / high && wavelength <= original / low)
            {
                var smooth = (float)((original / wavelength - low) / (high - low));
                scaled = (1 - smooth) * scaled / (float)factor + smooth * scaled;
            }
            frequencies[i] = scaled;
        }
        return frequencies;
    }

    private static (float[], double) Yarn(RopeConfig rope)
    {
        double original = rope.OriginalMaxPositions, dimensions = rope.Dimensions;
        var factor = rope.Factor ?? rope.MaxPositions / original;
        static double MscaleOf(double scale, double mscale = 1) => scale <= 1 ? 1 : 0.1 * mscale * Math.Log(scale) + 1;
        var multiplier = rope.AttentionFactor
            ?? (rope.Mscale is > 0 and { } m && rope.MscaleAllDimensions is > 0 and { } all ? MscaleOf(factor, m) / MscaleOf(factor, all) : MscaleOf(factor));
        double Correction(double rotations) => dimensions * Math.Log(original / (rotations * 2 * Math.PI)) / (2 * Math.Log(rope.Theta));
        var (low, high) = (Correction(rope.BetaFast), Correction(rope.BetaSlow));
        if (rope.Truncate) (low, high) = (Math.Floor(low), Math.Ceiling(high));
        (low, high) = (Math.Max(low, 0), Math.Min(high, dimensions - 1));
        if (low == high) high += 0.001;
        var frequencies = new float[rope.Dimensions / 2];
        for (var i = 0; i < frequencies.Length; i++)
        {
            var power = Power(rope.Theta, i, rope.Dimensions);
            var ramp = Math.Clamp((i - (float)low) / (float)(high - low), 0f, 1f);
            var keep = 1 - ramp;
            frequencies[i] = 1f / ((float)factor * power) * (1 - keep) + 1f / power * keep;
        }
        return (frequencies, multiplier);
    }

    private static (float[], double) LongRope(RopeConfig rope, int length)
    {
        var factors = length > rope.OriginalMaxPositions ? rope.LongFactors : rope.ShortFactors;
        var frequencies = new float[rope.Dimensions / 2];
        for (var i = 0; i < frequencies.Length; i++) frequencies[i] = 1f / ((float)factors[i] * Power(rope.Theta, i, rope.Dimensions));
        return (frequencies, LongRopeMultiplier(rope));
    }

    /// <summary>LongRoPE's multiplier of cosine and sine.</summary>
    public static double LongRopeMultiplier(RopeConfig rope)
    {
        double original = rope.OriginalMaxPositions;
        var factor = rope.Factor ?? rope.MaxPositions / original;
        return rope.AttentionFactor ?? (factor <= 1 ? 1 : Math.Sqrt(1 + Math.Log(factor) / Math.Log(original)));
    }
}
