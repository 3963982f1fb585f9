using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Trainer.Smoke.Tests.Reports;

/// <summary>report.html in a real browser.</summary>
[Trait("ring", "smoke")]
public sealed partial class ReportPageTests : IDisposable
{
    private const int Steps = 60;
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [GeneratedRegex("<path class=\"(\\w+)\" d=\"([^\"]*)\"[^>]*data-series=\"([^\"]*)\" data-points=\"(\\d+)\"")]
    private static partial Regex Curve();

    /// <summary>A run folder of sixty rows, five evaluations and two samples of each.</summary>
    private string WriteRun(string name, double rate)
    {
        var rows = new StringBuilder();
        for (var step = 0; step <= Steps; step++)
        {
            var loss = (0.2 + 2 * Math.Exp(-step * rate)).ToString(CultureInfo.InvariantCulture);
            if (step > 0)
                rows.AppendLine(
                    $$"""{"step":{{step}},"epoch":0.1,"loss":{{loss}},"learning_rate":0.0002,"grad_norm":1.5,"tokens":300,"trained_tokens":120,"tokens_per_second":900,"memory_bytes":260000000,"elapsed_seconds":{{step}}}""");
            if (step % 15 != 0) continue;
            rows.AppendLine(
                $$"""{"step":{{step}},"epoch":0.1,"eval_loss":{{loss}},"eval_perplexity":2,"eval_tokens":10,"eval_trained_tokens":5,"eval_seconds":0.1}""");
            foreach (var prompt in new[] { "one?", "two?" })
                rows.AppendLine($$"""{"step":{{step}},"sample_prompt":"{{prompt}}","sample_text":"</script><b>answer {{step}}</b>"}""");
        }
        _folder.File($"{name}/metrics.jsonl", rows.ToString());
        _folder.File($"{name}/recipe.yaml", $"model: tiny\nlearning_rate: {rate.ToString(CultureInfo.InvariantCulture)}\nseed: 42\n");
        _folder.File($"{name}/run.json",
            """{"data":{"steps":60,"lengths":[{"to":32,"rows":7},{"to":64,"rows":2}]},"outcome":{"reason":"all steps made","steps":60}}""");
        return Path.Combine(_folder.Path, name);
    }

    /// <summary>Writes the page, and behind its scripts one that leaves in the document how wide it came out.</summary>
    private string Report(string name, params string[] runs)
    {
        var page = Path.Combine(_folder.Path, name);
        Assert.Equal(0, TrainerProgram.RunWarm(["report", .. runs, "--output", page]).ExitCode);
        var text = File.ReadAllText(page);
        File.WriteAllText(page, text.Replace("</body>",
            "<script>document.body.dataset.excess = document.documentElement.scrollWidth - innerWidth; document.body.dataset.letters = "
            + "getComputedStyle(document.querySelector('svg text')).fontSize; document.body.dataset.zoom = "
            + "Math.min(...[...document.querySelectorAll('svg')].map(s => s.getBoundingClientRect().width / s.viewBox.baseVal.width)).toFixed(2); "
            + "document.body.dataset.paper = getComputedStyle(document.body).backgroundColor;</script></body>", StringComparison.Ordinal));
        return page;
    }

    private Browser Open()
    {
        var executable = Browser.Find();
        Skip.If(executable is null, "needs chromium or google-chrome on the PATH");
        return new Browser(executable!, _folder.Path);
    }

    [SkippableFact]
    public void The_page_of_a_run_opens_from_disk_without_a_word_on_the_console_and_shows_every_row_at_any_width()
    {
        var browser = Open();
        var page = Report("one.html", WriteRun("a", 0.05));
        // Whatever would leave the machine is refused by this, and the browser says so on the console.
        Assert.Contains("content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\"", File.ReadAllText(page),
            StringComparison.Ordinal);
        foreach (var width in new[] { 400, 1400 })
        {
            var dom = browser.Dom(page, width);
            var curves = Curve().Matches(dom).Select(
                match => (Kind: match.Groups[1].Value, Series: match.Groups[3].Value, Points: match.Groups[4].Value,
                    Drawn: match.Groups[2].Value.Count(c => c is 'M' or 'L'))).ToList();
            foreach (var series in new[] { "loss", "rate", "norm", "tokens/s", "memory", "tokens" })
                Assert.Contains(curves, curve => curve == ("line", series, "60", Steps));
            Assert.Contains(("eval", "held-out", "5", 5), curves);
            Assert.Equal(2, Regex.Count(dom, "<rect "));
            Assert.Contains("data-excess=\"0\"", dom, StringComparison.Ordinal);
            // A letter of 11 px is 11 px wide or narrow: the drawing is made for the width and not shrunk to it.
            Assert.Contains("data-letters=\"11px\" data-zoom=\"1.00\"", dom, StringComparison.Ordinal);
            Assert.Contains("data-paper=\"rgb(251, 251, 253)\"", dom, StringComparison.Ordinal);
            // A sample that looks like markup stays text.
            Assert.Contains("&lt;/script&gt;&lt;b&gt;answer 60&lt;/b&gt;", dom, StringComparison.Ordinal);
        }
        Assert.Contains("data-paper=\"rgb(20, 22, 28)\"", browser.Dom(page, 1400, "--blink-settings=preferredColorScheme=0"), StringComparison.Ordinal);
    }

    [SkippableFact]
    public void A_part_of_the_axis_shows_its_rows_alone()
    {
        var browser = Open();
        var page = Report("one.html", WriteRun("a", 0.05));
        var dom = browser.Dom(page + "#11-30", 1400);
        Assert.Contains(Curve().Matches(dom), match => (match.Groups[1].Value, match.Groups[3].Value, match.Groups[4].Value) == ("line", "loss", "20"));
        Assert.DoesNotContain("id=\"whole\" hidden", dom, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void A_comparison_draws_every_run_and_puts_what_differs_first()
    {
        var browser = Open();
        var dom = browser.Dom(Report("two.html", WriteRun("a", 0.05), WriteRun("b", 0.2)), 1400);
        var curves = Curve().Matches(dom).Select(match => $"{match.Groups[1].Value} {match.Groups[3].Value} {match.Groups[4].Value}").ToList();
        foreach (var run in new[] { "a", "b" })
        {
            Assert.Contains($"line {run} loss 60", curves);
            Assert.Contains($"eval {run} held-out 5", curves);
        }
        var (differs, shared) = (dom.IndexOf("<h2>Settings that differ</h2>", StringComparison.Ordinal), dom.IndexOf("<summary>Settings they share</summary>",
            StringComparison.Ordinal));
        Assert.InRange(dom.LastIndexOf("<td>learning_rate</td>", StringComparison.Ordinal), differs, shared);
        Assert.True(dom.LastIndexOf("<td>seed</td>", StringComparison.Ordinal) > shared);
    }

    [Fact]
    public void A_run_that_was_stopped_between_two_rows_has_the_steps_of_its_checkpoint_and_a_base_is_no_best_step()
    {
        var run = WriteRun("a", 0.05);
        File.WriteAllText(Path.Combine(run, "run.json"), """{"data":{"steps":200}}""");
        File.WriteAllLines(Path.Combine(run, "metrics.jsonl"), File.ReadLines(Path.Combine(run, "metrics.jsonl"))
            .Where(line => !line.Contains("eval_loss", StringComparison.Ordinal) || line.Contains("\"step\":0,", StringComparison.Ordinal)).ToList());
        _folder.File("a/checkpoint-64/manifest.json", "{}");
        var page = File.ReadAllText(Report("stopped.html", run, WriteRun("b", 0.2)));
        Assert.Contains("[\"steps\",\"64\"]", page, StringComparison.Ordinal);
        Assert.Contains("stopped after step 64 of 200", page, StringComparison.Ordinal);
        Assert.Contains("2.2000 of the base", page, StringComparison.Ordinal);
        Assert.Contains("at step 60", page, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void A_comparison_says_what_became_of_each_run() =>
        Assert.Contains("<td>all steps made, 60 steps</td>", Open().Dom(Report("two.html", WriteRun("a", 0.05), WriteRun("b", 0.2)), 1400),
            StringComparison.Ordinal);
}
