using System.Diagnostics;
using System.Text.Json;

namespace Trainer.Smoke.Tests.Runs;

/// <summary>TRAINER_LIBTORCH and --libtorch: a libtorch from elsewhere, or a plain refusal.</summary>
public sealed class LibtorchFolderTests
{
    private const string Variable = "TRAINER_LIBTORCH";
    private const string Option = "--libtorch";

    [Fact]
    [Trait("ring", "slow")]
    public void A_copy_of_the_packaged_folder_is_loaded_instead_of_it_and_computes_the_same_bytes()
    {
        using var folder = new TemporaryFolder();
        var libraries = Directory.CreateDirectory(Path.Combine(folder.Path, "torch", "lib")).FullName;
        foreach (var file in Directory.GetFiles(Path.GetDirectoryName(TrainerProgram.FilePath)!, "lib*.so*").Where(IsLibtorch))
            Link(file, Path.Combine(libraries, Path.GetFileName(file)));
        File.WriteAllText(Path.Combine(folder.Path, "torch", "version.py"), "__version__ = '2.10.0+cpu'\n");
        // The folder above the libraries will do, as a pip install has it.
        var environment = new Dictionary<string, string> { [Variable] = Path.Combine(folder.Path, "torch") };
        // What the command names goes before the variable, and its folder may be named from the home folder.
        string[] named = [Option, "~/torch"];
        var doctor = TrainerProgram.Run(new ProgramRun(["doctor", "--json", .. named]) { Directory = folder.Path,
            Environment = new Dictionary<string, string> { [Variable] = Path.Combine(folder.Path, "nowhere"), ["HOME"] = folder.Path } });
        using var report = JsonDocument.Parse(doctor.Output);
        var findings = report.RootElement.GetProperty("findings").EnumerateArray().ToDictionary(finding => finding.GetProperty("name").GetString()!);
        Assert.Equal($"loads from {libraries}", findings["libtorch"].GetProperty("text").GetString());
        Assert.True(findings["compute"].GetProperty("ok").GetBoolean());
        Assert.Contains($"the libtorch of {Option} is for processors alone", findings["graphics"].GetProperty("text").GetString(), StringComparison.Ordinal);
        var adapters = new List<byte[]>();
        foreach (var given in new[] { environment, [] })
        {
            var output = Path.Combine(folder.Path, $"run{adapters.Count}");
            var run = TrainerProgram.Run(new ProgramRun(["train", "--model", "tiny", "--data", "demo", "--max-steps", "2", "--threads", "1", "--output-dir",
                output]) { Directory = folder.Path, Environment = given });
            Assert.True(run.ExitCode == 0, run.Error);
            adapters.Add(File.ReadAllBytes(Path.Combine(output, "adapter_model.safetensors")));
        }
        Assert.Equal(adapters[1], adapters[0]);
    }

    [Theory, InlineData("train"), InlineData("plan"), InlineData("eval"), InlineData("serve"), InlineData("selftest"), InlineData("replay")]
    [Trait("ring", "smoke")]
    public void An_option_names_it_too_before_the_variable_and_says_so(string command)
    {
        using var folder = new TemporaryFolder();
        var run = new ProgramRun([command, Option, Path.Combine(folder.Path, "nowhere")]) { Directory = folder.Path,
            Environment = new Dictionary<string, string> { [Variable] = folder.Path } };
        var fault = Assert.Single(TrainerProgram.Run(run).Faults(69));
        Assert.StartsWith($"{Option} '{Path.Combine(folder.Path, "nowhere")}': there is no such folder; name the folder", fault, StringComparison.Ordinal);
        Assert.EndsWith("or leave it out", fault, StringComparison.Ordinal);
        Assert.Contains("needs a value: DIR", Assert.Single(TrainerProgram.RunWarm(command, Option).Faults(2)), StringComparison.Ordinal);
        Assert.Contains("2 different values", Assert.Single(TrainerProgram.RunWarm(command, Option, "a", Option, "b").Faults(2)), StringComparison.Ordinal);
    }

    [Fact]
    [Trait("ring", "smoke")]
    public void A_folder_that_cannot_serve_is_refused_before_anything_is_done()
    {
        using var folder = new TemporaryFolder();
        var result = TrainerProgram.Run(new ProgramRun(["train", "--model", "tiny", "--data", "demo", "--output-dir", "run"]) { Directory = folder.Path,
            Environment = new Dictionary<string, string> { [Variable] = folder.Path } });
        var fault = Assert.Single(result.Faults(69));
        Assert.StartsWith($"{Variable} '{folder.Path}': it holds no libc10.so; name the folder", fault, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    private static bool IsLibtorch(string path)
        => Path.GetFileName(path) is var name && (name.StartsWith("libtorch", StringComparison.Ordinal) || name.StartsWith("libc10", StringComparison.Ordinal)
            || name.StartsWith("libgomp", StringComparison.Ordinal));

    // Another name of the same bytes where the disk allows it: half a gigabyte else.
    private static void Link(string source, string target)
    {
        using var link = Process.Start("/bin/sh", ["-c", "ln \"$0\" \"$1\" 2>/dev/null || cp \"$0\" \"$1\"", source, target]);
        link.End();
    }
}
