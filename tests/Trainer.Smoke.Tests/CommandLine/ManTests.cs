using System.Diagnostics;
using System.Text.RegularExpressions;

namespace Trainer.Smoke.Tests.CommandLine;

/// <summary>Manual pages say what the help says, in a form that man reads without a word.</summary>
[Trait("ring", "smoke")]
public sealed class ManTests
{
    [Fact]
    public void A_page_holds_every_option_of_the_help()
    {
        var (page, help) = (TrainerProgram.RunWarm("man", "train").Output.Replace("\\-", "-",
            StringComparison.Ordinal), TrainerProgram.RunWarm("train", "--help").Output);
        Assert.StartsWith(".TH TRAINER-TRAIN 1", page, StringComparison.Ordinal);
        var options = Regex.Matches(help, @"^  (?:-\w, )?(--[a-z0-9-]+)", RegexOptions.Multiline).Select(match => match.Groups[1].Value).Distinct().ToList();
        Assert.True(options.Count > 60);
        Assert.All(options, option => Assert.Matches($@"(?m)^\.B (-\w, )?{option}( |$)", page));
    }

    [SkippableFact]
    public void All_pages_are_written_and_man_has_nothing_to_complain_of()
    {
        Skip.IfNot(File.Exists("/usr/bin/groff"), "needs groff");
        using var folder = new TemporaryFolder();
        Assert.Equal(0, TrainerProgram.RunWarm("man", "--all", folder.Path).ExitCode);
        var pages = Directory.GetFiles(folder.Path, "*.1");
        Assert.Contains(Path.Combine(folder.Path, "trainer-data-show.1"), pages);
        var start = new ProcessStartInfo("/usr/bin/groff") { RedirectStandardError = true, RedirectStandardOutput = true };
        foreach (var word in (string[])["-man", "-ww", "-Tascii", .. pages]) start.ArgumentList.Add(word);
        using var groff = Process.Start(start)!;
        var said = groff.StandardOutput.ReadToEndAsync();
        var complaints = groff.StandardError.ReadToEnd();
        Assert.True(groff.WaitForExit(TimeSpan.FromSeconds(60)));
        Assert.Empty(complaints);
        Assert.Contains("--max-steps", said.Result, StringComparison.Ordinal);
    }

    [Fact]
    public void A_command_that_is_none_is_answered()
    => Assert.Contains("did you mean 'train'", Assert.Single(TrainerProgram.RunWarm("man", "tarin").Faults(2)), StringComparison.Ordinal);
}
