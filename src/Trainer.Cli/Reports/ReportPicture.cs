using ScottPlot;

namespace Trainer.Cli.Reports;

/// <summary>The curves of one or several runs as a PNG.</summary>
internal static class ReportPicture
{
    private static readonly string[] Colours = ["#3056d3", "#d9480f", "#0a8f5b", "#9c36b5", "#b08900", "#0b7285", "#c2255c", "#5c7c0f"];

    public static void Save(IReadOnlyList<ReportRun> runs, string path)
    {
        var picture = new Multiplot();
        picture.AddPlots(4);
        picture.Layout = new ScottPlot.MultiplotLayouts.Grid(2, 2);
        var plots = picture.GetPlots();
        Title(plots[0], "loss, smoothed (dots: held-out)");
        Title(plots[1], "learning rate");
        Title(plots[2], "gradient norm, smoothed");
        Title(plots[3], "tokens a second, smoothed");
        for (var i = 0; i < runs.Count; i++)
        {
            var (run, colour) = (runs[i], Color.FromHex(Colours[i % Colours.Length]));
            var name = runs.Count > 1 ? run.Name : null;
            Curve(plots[0], run, 1, colour, name, isNoisy: true);
            if (run.Evals.Count > 0)
            {
                var held = plots[0].Add.Scatter(run.Evals.Select(row => row[0]).ToArray(), run.Evals.Select(row => row[1]).ToArray(),
                    runs.Count > 1 ? colour : Color.FromHex(Colours[1]));
                held.MarkerSize = 7;
                held.LinePattern = LinePattern.Dashed;
            }
            Curve(plots[1], run, 2, colour, null, isNoisy: false);
            Curve(plots[2], run, 3, colour, null, isNoisy: true);
            Curve(plots[3], run, 4, colour, null, isNoisy: true);
        }
        if (runs.Count > 1) plots[0].ShowLegend(Alignment.UpperRight);
        picture.SavePng(path, 1200, 800);
    }

    private static void Title(Plot plot, string title)
    {
        plot.Title(title, size: 15);
        plot.XLabel("step", size: 12);
    }

    /// <summary>A curve; of one that jumps from row to row the raw values stand faintly behind their running mean.</summary>
    private static void Curve(Plot plot, ReportRun run, int column, Color colour, string? name, bool isNoisy)
    {
        var rows = run.Steps.Where(row => double.IsFinite(row[column])).ToList();
        if (rows.Count == 0) return;
        double[] steps = [.. rows.Select(row => row[0])], values = [.. rows.Select(row => row[column])];
        if (isNoisy) Line(plot, steps, values, colour.WithAlpha(0.25), 1);
        var curve = Line(plot, steps, isNoisy ? Smooth(steps, values) : values, colour, 2);
        if (name is not null) curve.LegendText = name;
    }

    private static ScottPlot.Plottables.Scatter Line(Plot plot, double[] steps, double[] values, Color colour, float width)
    {
        var line = plot.Add.Scatter(steps, values, colour);
        line.MarkerSize = steps.Length == 1 ? 6 : 0;
        line.LineWidth = width;
        return line;
    }

    private static double[] Smooth(double[] steps, double[] values)
    {
        var mean = new Smoothing();
        return [.. steps.Zip(values, mean.Add)];
    }
}
