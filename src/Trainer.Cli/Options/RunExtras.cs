using Trainer.Cli.CommandLine;

namespace Trainer.Cli.Options;

/// <summary>What belongs to a run's recipe but not to what it computes.</summary>
/// <param name="ReportTo">Writers beside metrics.jsonl: tensorboard, html.</param>
/// <param name="SamplePromptsFile">Where the prompts came from, or null.</param>
internal sealed record RunExtras(IReadOnlyList<string> ReportTo, string? SamplePromptsFile)
{
    private static readonly string[] Kinds = ["tensorboard", "html"];

    public static RunExtras Read(SettingValues values) => new(ReadReportTo(values), values.Text(RunSettings.SamplePrompts));

    private static string[] ReadReportTo(SettingValues values)
    {
        if (!values.Has(RunSettings.ReportTo)) return Kinds;
        var kinds = values.List(RunSettings.ReportTo).Select(kind => kind.ToLowerInvariant()).Distinct().ToList();
        // transformers says `all`; jsonl is written in any case.
        foreach (var kind in kinds.Where(kind => !Kinds.Contains(kind) && kind is not ("jsonl" or "none" or "all")))
            values.Fault($"{values.Origin(RunSettings.ReportTo)} '{kind}' is not one of tensorboard, html, none" + (DidYouMean.Nearest(kind, [.. Kinds, "none"]) is { } near ? $"; did you mean '{near}'?" : ""));
        if (kinds.Contains("none") && kinds.Count > 1) values.Fault($"{values.Origin(RunSettings.ReportTo)} says none and something else; keep one");
        return kinds.Contains("none") ? [] : kinds.Contains("all") ? Kinds : [.. kinds.Where(Kinds.Contains)];
    }
}
