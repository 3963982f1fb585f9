using System.Text;
using Trainer.Numerics.Draws;

namespace Trainer.Adapters;

/// <summary>Random numbers of one tensor: a function of the run's seed and the tensor's name, whatever the order tensors are made in.</summary>
internal sealed class AdapterRandom
{
    private ulong _state;

    public AdapterRandom(int seed, string name)
    {
        // FNV-1a over the name, mixed with the seed.
        var hash = 0xCBF2_9CE4_8422_2325UL;
        foreach (var b in Encoding.UTF8.GetBytes(name)) hash = (hash ^ b) * 0x0000_0100_0000_01B3;
        _state = hash ^ ((ulong)(uint)seed * SplitMix64.Step);
    }

    /// <summary>Uniform in [-bound, bound).</summary>
    public void Uniform(Span<float> values, double bound)
    {
        for (var i = 0; i < values.Length; i++) values[i] = (float)((2 * Unit() - 1) * bound);
    }

    /// <summary>Normal with mean 0 (Box and Muller).</summary>
    public void Normal(Span<float> values, double deviation)
    {
        for (var i = 0; i < values.Length; i += 2)
        {
            var radius = Math.Sqrt(-2 * Math.Log(1 - Unit())) * deviation;
            var (sin, cos) = Math.SinCos(2 * Math.PI * Unit());
            values[i] = (float)(radius * cos);
            if (i + 1 < values.Length) values[i + 1] = (float)(radius * sin);
        }
    }

    private double Unit() => SplitMix64.Unit(SplitMix64.Next(ref _state));
}
