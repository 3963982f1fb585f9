using Trainer.Ground.Tests.Hub;

namespace Trainer.Smoke.Tests.Runs;

/// <summary><c>trainer download</c> against a hub on this machine.</summary>
[Trait("ring", "smoke")]
public sealed class DownloadTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly FakeHub _hub = new();

    public void Dispose()
    {
        _hub.Dispose();
        _folder.Dispose();
    }

    private ProgramResult Run(string[] words, bool isOffline = false) => TrainerProgram.RunWarm(new ProgramRun(words)
    {
        Environment = new Dictionary<string, string> { ["HF_HOME"] = _folder.Path, ["HF_ENDPOINT"] = _hub.Endpoint,
            ["HF_HUB_OFFLINE"] = isOffline ? "1" : "0" },
    });

    [Fact]
    public void A_downloaded_model_is_found_by_its_name_without_the_network()
    {
        var tiny = Path.Combine(TrainerProgram.Repository, "tests", "fixtures", "models", "llama31");
        foreach (var file in Directory.GetFiles(tiny)) _hub.Files[Path.GetFileName(file)] = File.ReadAllBytes(file);

        var result = Run(["download", "org/tiny"]);

        Assert.True(result.ExitCode == 0, result.Error);
        var folder = result.Output.Trim();
        foreach (var file in Directory.GetFiles(tiny, "model*"))
            Assert.Equal(File.ReadAllBytes(file), File.ReadAllBytes(Path.Combine(folder, Path.GetFileName(file))));
        _hub.Dispose();
        var plan = Run(["plan", "--model", "org/tiny", "--max-steps", "3", "--max-seq-length", "64", "--json"], isOffline: true).Json();
        Assert.True(plan.GetProperty("seconds").GetDouble() > 0);
    }

    [Fact]
    public void A_downloaded_data_set_is_trained_on_by_its_name_without_the_network()
    {
        _hub.IsDataset = true;
        _hub.Files["README.md"] = System.Text.Encoding.UTF8.GetBytes("---\nconfigs:\n- config_name: main\n  data_files:\n  - {split: train, path: "
            + "main/train-*}\n  - {split: test, path: main/test-*}\n- config_name: other\n  data_files: other.jsonl\n---\n");
        foreach (var name in new[] { "main/train-0.jsonl", "main/test-0.jsonl", "other.jsonl" })
            _hub.Files[name] = System.Text.Encoding.UTF8.GetBytes($"{{\"question\":\"{name}\",\"answer\":\"yes\"}}\n");

        Assert.Contains("several subsets", Assert.Single(Run(["download", "--dataset", "org/set"]).Faults(65)), StringComparison.Ordinal);
        var result = Run(["download", "--dataset", "org/set:main/train"]);
        Assert.True(result.ExitCode == 0, result.Error);
        Assert.True(File.Exists(Path.Combine(result.Output.Trim(), "main", "train-0.jsonl")));
        Assert.DoesNotContain(_hub.Requests, one => one.Path.Contains("test-0", StringComparison.Ordinal)
            || one.Path.Contains("other", StringComparison.Ordinal));
        _hub.Dispose();
        var rows = Run(["data", "show", "--model", "tiny", "--json", "--data", "org/set:main,instruction=question,output=answer"], isOffline: true).Json();
        Assert.Contains("main/train-0.jsonl", Assert.Single(rows.EnumerateArray()).GetProperty("text").GetString()!, StringComparison.Ordinal);
    }

    [Fact]
    public void A_model_the_hub_does_not_know_is_one_line()
    {
        _hub.Fault = (_, context) =>
        {
            context.Response.StatusCode = 404;
            return true;
        };
        Assert.Contains("org/nonesuch", Assert.Single(Run(["download", "org/nonesuch"]).Faults(69)), StringComparison.Ordinal);
        Assert.Single(Run(["download", "not a name"]).Faults(2));
    }
}
