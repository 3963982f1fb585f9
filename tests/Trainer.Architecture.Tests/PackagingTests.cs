using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Trainer.Architecture.Tests;

/// <summary>What makes packages and images speaks of what is there.</summary>
public sealed partial class PackagingTests
{
    [GeneratedRegex(@"^(FROM|COPY|RUN|USER|ENV|WORKDIR|ENTRYPOINT|CMD) \S")]
    private static partial Regex Instruction();

    private static string Text(string path) => File.ReadAllText(Path.Combine(Repository.Root, path));

    // As every build has it: a group with a condition speaks of some builds alone.
    private static string Property(string name) => XDocument.Load(Path.Combine(Repository.Root, "Directory.Build.props")).Descendants(name)
        .Single(property => property.Parent!.Attribute("Condition") is null).Value;

    [Fact]
    public void The_image_is_built_from_the_framework_and_the_scripts_that_are_here()
    {
        var lines = Text("scripts/Containerfile").Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(line => line[0] != '#').ToArray();
        Assert.All(lines, line => Assert.Matches(Instruction(), line));
        Assert.StartsWith("FROM ", lines[0], StringComparison.Ordinal);
        var framework = Property("TargetFramework")["net".Length..];
        Assert.All(lines.Where(line => line.StartsWith("FROM ", StringComparison.Ordinal)),
            line => Assert.Contains($":{framework}", line, StringComparison.Ordinal));
        foreach (Match script in Regex.Matches(string.Join('\n', lines), @"/source/(scripts/\S+)"))
            Assert.True(File.Exists(Path.Combine(Repository.Root, script.Groups[1].Value)), script.Value);
        Assert.Contains("**/obj", Text(".dockerignore"), StringComparison.Ordinal); // a host's restore names paths that the image has not
    }

    [Fact]
    public void Windows_on_arm64_has_the_libtorch_of_the_others_and_is_published_at_every_change()
    {
        var package = Regex.Match(Text("src/Packages.props"), "\"libtorch-cpu-win-arm64\" Version=\"([^\"]+)\"").Groups[1].Value;
        var others = Regex.Match(Text("src/Trainer.Cli/packages.lock.json"), "\"libtorch-cpu-win-x64\": \"([^\"]+)\"").Groups[1].Value;
        Assert.NotEmpty(others);
        Assert.Equal(others, package);
        Assert.Matches(@"for runtime in \S+ \S+ win-arm64;", Text(".ci/run"));
        Assert.Contains("dotnet \"%~dp0trainer.dll\" %*", Text("src/Trainer.Cli/trainer.cmd"), StringComparison.Ordinal);
    }

    [Fact]
    public void Packages_are_made_for_every_platform_of_libtorch() =>
        Assert.Contains($"runtimes=({Property("TorchRuntimeIdentifiers").Replace(';', ' ')})", Text("scripts/pack.sh"), StringComparison.Ordinal);
}
