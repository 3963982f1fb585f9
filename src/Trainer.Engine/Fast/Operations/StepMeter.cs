using Trainer.Engine.Fast.Bench;

namespace Trainer.Engine.Fast.Operations;

/// <summary>Time and floating-point operations of the fast engine, by part, since it was last cleared.</summary>
public sealed class StepMeter
{
    private static readonly int Parts = Enum.GetValues<StepPart>().Length;
    private static readonly int Places = Enum.GetValues<StepPlace>().Length;
    private readonly double[] _operations = new double[Parts];

    // By place and part; the last of a place is that of the whole.
    private readonly long[,] _ticks = new long[Places, Parts + 1];
    private readonly long[,] _looped = new long[Places, Parts + 1];
    private StepPlace _place;

    /// <summary>Seconds spent in a part.</summary>
    /// <param name="part">The part.</param>
    public double Seconds(StepPart part)
        => BenchClock.Seconds(Enumerable.Range(0, Places).Sum(place => _ticks[place, (int)part]));

    /// <summary>Multiplications and additions executed in a part (0 for parts without products).</summary>
    /// <param name="part">The part.</param>
    public double Operations(StepPart part) => _operations[(int)part];

    /// <summary>All executed operations.</summary>
    public double AllOperations => _operations.Sum();

    /// <summary>A part's time at a place.</summary>
    /// <param name="place">The place.</param>
    /// <param name="part">The part; null is the whole of layers, what is between their parts too.</param>
    internal PartTime Time(StepPlace place, StepPart? part)
    {
        var (row, column) = ((int)place, part is { } one ? (int)one : Parts);
        return new(BenchClock.Seconds(_ticks[row, column]), BenchClock.Seconds(_looped[row, column]));
    }

    /// <summary>Sets everything to 0.</summary>
    public void Clear()
    {
        Array.Clear(_ticks);
        Array.Clear(_looped);
        Array.Clear(_operations);
    }

    /// <summary>Counts the time until it is disposed of as a part's.</summary>
    internal Stretch Measure(StepPart part, double operations = 0)
    {
        _operations[(int)part] += operations;
        return new Stretch(this, (int)part);
    }

    /// <summary>Counts what comes until it is disposed of as a layer's.</summary>
    internal Stretch MeasureLayer(StepPlace place)
    {
        _place = place;
        return new Stretch(this, Parts);
    }

    /// <summary>A stretch of time.</summary>
    internal readonly ref struct Stretch(StepMeter meter, int part)
    {
        private readonly long _start = BenchClock.Now;
        private readonly long _before = BenchClock.Looped;

        public void Dispose()
        {
            meter._ticks[(int)meter._place, part] += BenchClock.Now - _start;
            meter._looped[(int)meter._place, part] += BenchClock.Looped - _before;
            if (part == Parts) meter._place = StepPlace.Around;
        }
    }
}
