namespace Trainer.Cli.Reports;

/// <summary>
/// The one running mean of this program: panel, summary, page and picture show the same number. Each step keeps nine tenths of the mean,
/// so a row that stands for ten steps weighs more than one that stands for one; without the bias towards the first row.
/// </summary>
internal sealed class Smoothing(double keep = Smoothing.Keep)
{
    /// <summary>What a step keeps of the mean.</summary>
    public const double Keep = 0.9;

    private double _sum;
    private double _weight;
    private double _step = double.NaN;

    /// <summary>The mean so far; not a number before the first row.</summary>
    public double Value => _weight == 0 ? double.NaN : _sum / _weight;

    /// <summary>Adds a row and gives the mean.</summary>
    public double Add(double step, double value)
    {
        var kept = double.IsNaN(_step) ? 0 : Math.Pow(keep, Math.Max(1, step - _step));
        // A value that is not a number is shown where it happened and does not hide all that follow.
        if (!double.IsFinite(value)) return Value;
        var share = double.IsNaN(_step) ? 1 - keep : 1 - kept;
        (_sum, _weight, _step) = (kept * _sum + share * value, kept * _weight + share, step);
        return Value;
    }
}
