using Trainer.Engine.Fast.Bench;

namespace Trainer.Engine.Fast.Operations;

/// <summary>Time and floating-point operations of the fast engine, by part, since it was last cleared.</summary>
public sealed class StepMeter
{
    private static readonly int Parts = Enum.GetValues<StepPart>().Length;
    private readonly long[] _ticks = new long[Parts];
    private readonly double[] _operations = new double[Parts];

    /// <summary>Seconds spent in a part.</summary>
    /// <param name="part">The part.</param>
    public double Seconds(StepPart part) => BenchClock.Seconds(_ticks[(int)part]);

    /// <summary>Multiplications and additions executed in a part (0 for parts without products).</summary>
    /// <param name="part">The part.</param>
    public double Operations(StepPart part) => _operations[(int)part];

    /// <summary>All executed operations.</summary>
    public double AllOperations => _operations.Sum();

    /// <summary>Sets everything to 0.</summary>
    public void Clear()
    {
        Array.Clear(_ticks);
        Array.Clear(_operations);
    }

    /// <summary>Counts the time until it is disposed of as a part's.</summary>
    internal Stretch Measure(StepPart part, double operations = 0)
    {
        _operations[(int)part] += operations;
        return new Stretch(this, part, BenchClock.Now);
    }

    /// <summary>A stretch of time.</summary>
    internal readonly ref struct Stretch(StepMeter meter, StepPart part, long start)
    {
        public void Dispose() => meter._ticks[(int)part] += BenchClock.Now - start;
    }
}
