using System.Text;
using System.Text.Json;
using Trainer.Cli.Rendering;

namespace Trainer.Cli.Reports;

/// <summary>report.html: one file with its own style, script and data; it opens from disk without a network.</summary>
internal static class ReportPage
{
    /// <param name="runs">The runs to show.</param>
    /// <param name="isUnfinished">Whether the page should load itself again every half minute.</param>
    public static string Write(IReadOnlyList<ReportRun> runs, bool isUnfinished)
    {
        // "</script>" inside a sample would end the script; a less-than sign inside JSON may be written as an escape.
        var data = JsonSerializer.Serialize(runs, Json.Compact).Replace("<", "\\u003c", StringComparison.Ordinal);
        return new StringBuilder(Resource("report.html"))
            .Replace("/*STYLE*/", Resource("report.css"))
            .Replace("/*CHARTS*/", Resource("charts.js"))
            .Replace("/*SCRIPT*/", Resource("report.js"))
            .Replace("<!--REFRESH-->", isUnfinished ? "<meta http-equiv=\"refresh\" content=\"30\">" : "")
            .Replace("\"DATA\"", data)
            .ToString();
    }

    private static string Resource(string name)
    {
        using var stream = typeof(ReportPage).Assembly.GetManifestResourceStream(name)!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
