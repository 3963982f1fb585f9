namespace Trainer.Numerics.Draws;

/// <summary>SplitMix64 (Steele, Lea, Flood 2014): a bijection of a counter whose outputs pass statistical tests. Every random number of a run is one of
/// these.</summary>
public static class SplitMix64
{
    /// <summary>What a counter moves on by where its numbers are drawn in order.</summary>
    public const ulong Step = 0x9E37_79B9_7F4A_7C15;

    /// <summary>The number at a place.</summary>
    /// <param name="x">The place.</param>
    public static ulong Mix(ulong x)
    {
        x += Step;
        x = (x ^ (x >> 30)) * 0xBF58_476D_1CE4_E5B9;
        x = (x ^ (x >> 27)) * 0x94D0_49BB_1331_11EB;
        return x ^ (x >> 31);
    }

    /// <summary>The next number of a counter, which moves on.</summary>
    /// <param name="state">The counter.</param>
    public static ulong Next(ref ulong state)
    {
        var x = Mix(state);
        state += Step;
        return x;
    }

    /// <summary>The upper 53 bits of a number, as a double in [0, 1).</summary>
    /// <param name="number">The number.</param>
    public static double Unit(ulong number) => (number >> 11) * (1.0 / (1UL << 53));
}
