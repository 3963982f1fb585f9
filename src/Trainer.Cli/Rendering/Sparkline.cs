namespace Trainer.Cli.Rendering;

/// <summary>A curve in one line of text.</summary>
internal static class Sparkline
{
    private const string Blocks = "▁▂▃▄▅▆▇█";
    private const string Ascii = "_.-=*#";

    public static string Draw(IReadOnlyList<double> values, int width, bool unicode)
    {
        var levels = unicode ? Blocks : Ascii;
        if (values.Count == 0 || width < 1) return "";
        var columns = Math.Min(width, values.Count);
        var means = new double[columns];
        for (var column = 0; column < columns; column++)
        {
            var from = (int)((long)column * values.Count / columns);
            var to = Math.Max(from + 1, (int)((long)(column + 1) * values.Count / columns));
            for (var i = from; i < to; i++) means[column] += values[i] / (to - from);
        }
        var finite = means.Where(double.IsFinite).ToList();
        if (finite.Count == 0) return "";
        var (low, high) = (finite.Min(), finite.Max());
        return string.Concat(means.Select(mean => !double.IsFinite(mean)
            ? '?' : high - low < 1e-12 ? levels[0] : levels[(int)Math.Min(levels.Length - 1, (mean - low) / (high - low) * levels.Length)]));
    }
}
