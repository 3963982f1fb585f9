using System.Text.RegularExpressions;

namespace Trainer.Architecture.Tests;

public sealed partial class SourceTests
{
    private const int LongestFile = 400;

    [Fact]
    public void No_source_file_is_longer_than_one_can_hold()
    {
        var faults = Repository.Sources("src").Concat(Repository.Sources("tests"))
            .Select(static path => (Path: Repository.Relative(path), Lines: File.ReadLines(path).Count()))
            .Where(static file => file.Lines > LongestFile)
            .Select(static file => $"{file.Path}: {file.Lines} lines");
        Assert.Empty(faults);
    }

    [Fact]
    public void No_folder_is_a_drawer_for_everything()
    {
        string[] drawers = ["Utils", "Helpers", "Common", "Misc", "Extensions"];
        var faults = Repository.Sources("src").Concat(Repository.Sources("tests")).Select(Repository.Relative)
            .Where(path => path.Split('/')[..^1].Intersect(drawers).Any());
        Assert.Empty(faults);
    }

    [Fact]
    public void No_type_is_called_manager_or_helper()
        => Assert.Empty(Offenders("src", static _ => true, VagueType()));

    [Fact]
    public void Nobody_but_the_program_talks_to_the_console_or_ends_the_process()
        => Assert.Empty(Offenders("src", static path => !path.StartsWith("src/Trainer.Cli/", StringComparison.Ordinal), ConsoleUse()));

    [Fact]
    public void Nobody_but_the_hub_and_the_ranks_of_a_run_opens_a_connection()
    {
        // The ranks over NCCL meet at the address that their launcher names; nothing else of their project may.
        const string BetweenRanks = "src/Trainer.Distributed/Nccl/Lifeline.cs";
        Assert.Empty(Offenders("src", static path => path != BetweenRanks && !path.StartsWith("src/Trainer.Hub/", StringComparison.Ordinal), NetworkUse()));
    }

    [Fact]
    public void Native_code_is_called_from_five_projects_only()
    {
        string[] allowed = ["src/Trainer.Numerics/", "src/Trainer.Checkpoints/", "src/Trainer.Engine/", "src/Trainer.Distributed/", "src/Trainer.Cli/"];
        Assert.Empty(Offenders("src", path => !allowed.Any(prefix => path.StartsWith(prefix, StringComparison.Ordinal)), NativeUse()));
    }

    [Fact]
    public void What_a_run_needs_is_drawn_without_libtorch()
    {
        string[] drawn = ["src/Trainer.Models/", "src/Trainer.Engine/Fast/Layout/"];
        Assert.Empty(Offenders("src", path => drawn.Any(prefix => path.StartsWith(prefix, StringComparison.Ordinal)), TorchUse()));
    }

    [Fact]
    public void The_order_of_a_pass_and_the_oracle_know_nothing_of_the_engine_that_is_held_against_them()
    {
        string[] folders = ["src/Trainer.Engine/Passes/", "src/Trainer.Engine/Reference/"];
        Assert.Empty(Offenders("src", path => folders.Any(prefix => path.StartsWith(prefix, StringComparison.Ordinal)), FastUse()));
    }

    [Fact]
    public void The_mathematics_of_a_layer_knows_no_addresses_and_measures_nothing()
    {
        string[] folders = ["src/Trainer.Engine/Fast", "src/Trainer.Engine/Fast/Operations", "src/Trainer.Engine/Fast/Layout"];
        bool IsSubject(string path) => folders.Contains(path[..path.LastIndexOf('/')]);
        Assert.Empty(Offenders("src", path => IsSubject(path) && Path.GetFileName(path) != "Arena.cs", AddressUse()));
        Assert.Empty(Offenders("src", path => IsSubject(path) && Path.GetFileName(path).StartsWith("FastL", StringComparison.Ordinal), MeterUse()));
    }

    [Fact]
    public void Nothing_is_left_for_later()
        => Assert.Empty(Offenders("src", static _ => true, Unfinished()));

    [Fact]
    public void No_text_names_a_path_of_somebody_s_machine()
    {
        string[] endings = ["*.cs", "*.md", "*.yaml", "*.yml", "*.sh", "*.json"];
        var faults = new[] { "src", "tests", "scripts", "configs", ".github" }
            .Where(static folder => Directory.Exists(Path.Combine(Repository.Root, folder)))
            .SelectMany(folder => endings.SelectMany(ending => Directory.EnumerateFiles(Path.Combine(Repository.Root, folder), ending,
                SearchOption.AllDirectories)))
            .Where(static path => !Repository.Relative(path).Split('/').Any(static part => part is "obj" or "bin" or "runs" or "node_modules"))
            .Where(static path => MachinePath().IsMatch(File.ReadAllText(path)))
            .Select(Repository.Relative);
        Assert.Empty(faults);
    }

    private static IEnumerable<string> Offenders(string folder, Func<string, bool> isSubject, Regex pattern)
        => Repository.Sources(folder)
            .Where(path => isSubject(Repository.Relative(path)))
            .SelectMany(path => File.ReadLines(path).Select((line, index) => (Path: Repository.Relative(path), Line: line, Number: index + 1)))
            .Where(entry => !entry.Line.TrimStart().StartsWith("//", StringComparison.Ordinal) && pattern.IsMatch(entry.Line))
            .Select(static entry => $"{entry.Path}:{entry.Number}: {entry.Line.Trim()}");

    [GeneratedRegex(@"\bTorchSharp\b")]
    private static partial Regex TorchUse();

    [GeneratedRegex(@"\bEngine\.Fast\b|\bFast[A-Z]\w+\b")]
    private static partial Regex FastUse();

    [GeneratedRegex(@"\bunsafe\b|\bIntPtr\b")]
    private static partial Regex AddressUse();

    [GeneratedRegex(@"\b(StepMeter|StepPart|BenchClock)\b")]
    private static partial Regex MeterUse();

    [GeneratedRegex(@"\b(class|record|struct|interface)\s+\w+(Manager|Helper|Utils|Util)\b")]
    private static partial Regex VagueType();

    [GeneratedRegex(@"\b(Console\.(Write|Error|Out|In|Read)|Environment\.Exit|Environment\.FailFast)")]
    private static partial Regex ConsoleUse();

    [GeneratedRegex(@"\b(HttpClient|System\.Net\.Http|TcpClient|new Socket|WebRequest)\b")]
    private static partial Regex NetworkUse();

    [GeneratedRegex(@"(\bunsafe\b|\[DllImport|\[LibraryImport)")]
    private static partial Regex NativeUse();

    [GeneratedRegex(@"(NotImplementedException|\bTODO\b|\bFIXME\b|\bHACK\b)")]
    private static partial Regex Unfinished();

    // A home or work folder written into a text is right on one machine only.
    [GeneratedRegex(@"(?<![A-Za-z0-9_.$}])/(root|work|home/[a-z]+|Users/[a-z]+)/", RegexOptions.IgnoreCase)]
    private static partial Regex MachinePath();
}
