namespace Trainer.Training.Optimizers;

/// <summary>
/// The 256 values that an 8-bit state may take, as bitsandbytes' create_dynamic_map: seven powers of ten, and in each evenly spaced fractions,
/// twice as many from power to power. Rising, so that a code's order is that of its value.
/// </summary>
internal sealed class DynamicMap
{
    /// <summary>For first moments: both signs.</summary>
    public static readonly DynamicMap Signed = new(isSigned: true);

    /// <summary>For second moments: no sign, so twice the fractions.</summary>
    public static readonly DynamicMap Unsigned = new(isSigned: false);

    private readonly float[] _boundaries = new float[255];

    private DynamicMap(bool isSigned)
    {
        var values = new List<float> { 0, 1 };
        for (var power = 0; power < 7; power++)
        {
            var count = isSigned ? 1 << power : 2 << power;
            for (var i = 0; i < count; i++)
            {
                var mean = (Boundary(i, count) + Boundary(i + 1, count)) / 2;
                var value = (float)Math.Pow(10, power - 6) * mean;
                values.Add(value);
                if (isSigned) values.Add(-value);
            }
        }
        values.Sort();
        Values = [.. values];
        for (var i = 0; i < 255; i++) _boundaries[i] = (Values[i] + Values[i + 1]) / 2;
    }

    /// <summary>The 256 values, rising.</summary>
    public float[] Values { get; }

    /// <summary>The code of the nearest value.</summary>
    public byte Code(float value)
    {
        var (low, high) = (0, 255);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (value > _boundaries[middle]) low = middle + 1;
            else high = middle;
        }
        return (byte)low;
    }

    // torch.linspace(0.1, 1, count + 1) in float32: from both ends to the middle, each product and sum rounded once.
    private static float Boundary(int index, int count)
    {
        var step = (1f - 0.1f) / count;
        return index < (count + 1) / 2 ? MathF.FusedMultiplyAdd(step, index, 0.1f) : MathF.FusedMultiplyAdd(-step, count - index, 1f);
    }
}
