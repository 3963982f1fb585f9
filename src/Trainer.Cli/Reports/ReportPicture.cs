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
        Title(plots[0], "loss (dots: held-out)");
        Title(plots[1], "learning rate");
        Title(plots[2], "gradient norm");
        Title(plots[3], "tokens a second");
        for (var i = 0; i < runs.Count; i++)
        {
            var (run, colour) = (runs[i], Color.FromHex(Colours[i % Colours.Length]));
            Curve(plots[0], run, 1, colour, runs.Count > 1 ? run.Name : null);
            if (run.Evals.Count > 0)
            {
                var held = plots[0].Add.Scatter(run.Evals.Select(row => row[0]).ToArray(), run.Evals.Select(row => row[1]).ToArray(), runs.Count > 1 ? colour : Color.FromHex(Colours[1]));
                held.MarkerSize = 7;
                held.LinePattern = LinePattern.Dashed;
            }
            for (var column = 2; column <= 4; column++) Curve(plots[column - 1], run, column, colour, null);
        }
        if (runs.Count > 1) plots[0].ShowLegend(Alignment.UpperRight);
        picture.SavePng(path, 1200, 800);
    }

    private static void Title(Plot plot, string title)
    {
        plot.Title(title);
        plot.XLabel("step");
    }

    private static void Curve(Plot plot, ReportRun run, int column, Color colour, string? name)
    {
        var rows = run.Steps.Where(row => double.IsFinite(row[column])).ToList();
        if (rows.Count == 0) return;
        var curve = plot.Add.Scatter(rows.Select(row => row[0]).ToArray(), rows.Select(row => row[column]).ToArray(), colour);
        curve.MarkerSize = rows.Count == 1 ? 6 : 0;
        curve.LineWidth = 1.6f;
        if (name is not null) curve.LegendText = name;
    }
}
