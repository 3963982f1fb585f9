using Trainer.Checkpoints.Safetensors;

namespace Trainer.Adapters.Merge;

/// <summary>
/// How much of an adapter's change is in the written weights: with D the change and D' what the stored type makes of it, the part of D' along D, and the
/// size of the rest. A change below half a step of bfloat16 is lost, as it is under the 8 bits of a number that are kept.
/// </summary>
public sealed class MergeSurvival
{
    private double _along, _wanted, _error;

    /// <summary>Share of the change that survives, 1 for all of it; null where nothing was changed.</summary>
    public double? Share => _wanted > 0 ? _along / _wanted : null;

    /// <summary>Size of what rounding puts in the place of the rest, as a share of the change's size; null where nothing was changed.</summary>
    public double? Error => _wanted > 0 ? Math.Sqrt(_error / _wanted) : null;

    /// <summary>Adds a range of a weight.</summary>
    /// <param name="before">The base's values.</param>
    /// <param name="after">The merged ones, not rounded.</param>
    /// <param name="written">Those as stored.</param>
    /// <param name="type">Their type.</param>
    internal void Add(ReadOnlySpan<float> before, ReadOnlySpan<float> after, ReadOnlySpan<byte> written, SafetensorsDtype type)
    {
        for (var i = 0; i < before.Length; i++)
        {
            double change = (double)after[i] - before[i], kept = Value(written, i, type) - before[i];
            _wanted += change * change;
            _along += kept * change;
            _error += (kept - change) * (kept - change);
        }
    }

    private static double Value(ReadOnlySpan<byte> bytes, int at, SafetensorsDtype type) => type switch
    {
        SafetensorsDtype.F32 => BitConverter.ToSingle(bytes[(4 * at)..]),
        SafetensorsDtype.F16 => (double)BitConverter.ToHalf(bytes[(2 * at)..]),
        _ => BitConverter.Int32BitsToSingle(BitConverter.ToUInt16(bytes[(2 * at)..]) << 16),
    };
}
