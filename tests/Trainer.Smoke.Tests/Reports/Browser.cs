using System.Diagnostics;
using System.Text.RegularExpressions;

namespace Trainer.Smoke.Tests.Reports;

/// <summary>A page as a browser without a window has it, straight from disk.</summary>
internal sealed partial class Browser(string executable, string folder)
{
    /// <summary>Chromium or Chrome on the PATH, or null.</summary>
    public static string? Find() => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':')
        .SelectMany(directory => new[] { "chromium", "chromium-browser", "google-chrome", "chrome" }.Select(name => Path.Combine(directory, name)))
        .FirstOrDefault(File.Exists);

    [GeneratedRegex("CONSOLE[:(].*")]
    private static partial Regex ConsoleLine();

    /// <summary>The document after its scripts ran; fails on a message on the console, such as that of a request which the page's own content policy
    /// forbids.</summary>
    public string Dom(string page, int width, params string[] more)
    {
        var (output, error) = Run(page, width, ["--dump-dom", "--enable-logging=stderr", "--v=0", .. more]);
        Assert.Empty(ConsoleLine().Matches(error).Select(match => match.Value));
        return output;
    }

    private (string Output, string Error) Run(string page, int width, string[] more)
    {
        var start = new ProcessStartInfo(executable) { RedirectStandardOutput = true, RedirectStandardError = true };
        string[] words =
        [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--disable-dev-shm-usage",
            "--hide-scrollbars", $"--user-data-dir={Path.Combine(folder, "profile-" + Guid.NewGuid().ToString("N"))}", "--virtual-time-budget=3000",
            $"--window-size={width},900", .. more, new Uri(page.Split('#')[0]).AbsoluteUri + (page.Contains('#') ? page[page.IndexOf('#')..] : ""),
        ];
        foreach (var word in words) start.ArgumentList.Add(word);
        using var process = Process.Start(start)!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        if (!process.WaitForExit(TimeSpan.FromSeconds(90)))
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{executable} did not end\n{error.Result}");
        }
        Assert.True(process.ExitCode == 0, error.Result);
        return (output.Result, error.Result);
    }
}
