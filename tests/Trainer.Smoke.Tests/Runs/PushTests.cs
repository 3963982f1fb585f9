using Trainer.Ground.Tests.Hub;

namespace Trainer.Smoke.Tests.Runs;

/// <summary><c>trainer push</c> against a hub on this machine, which keeps what it is sent and gives it back.</summary>
[Trait("ring", "smoke")]
public sealed class PushTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly FakeHub _hub = new();

    public void Dispose()
    {
        _hub.Dispose();
        _folder.Dispose();
    }

    private ProgramResult Run(string? token, params string[] words)
    {
        var environment = new Dictionary<string, string> { ["HF_HOME"] = _folder.Path, ["HF_ENDPOINT"] = _hub.Endpoint };
        if (token is not null) environment["HF_TOKEN"] = token;
        return TrainerProgram.RunWarm(new ProgramRun(words) { Directory = _folder.Path, Environment = environment });
    }

    private string Adapter()
    {
        _folder.File("a/adapter_config.json",
            """{"peft_type":"LORA","r":8,"lora_alpha":16,"target_modules":["q_proj"],"base_model_name_or_path":"org/base"}""");
        _folder.File("a/adapter_model.safetensors", new string('w', 5000));
        _folder.File("a/README.md", "---\nbase_model: org/base\n---\n");
        _folder.File("a/tokenizer.json", "{}");
        _folder.File("a/run.json", """{"path":"/somewhere/else/private"}""");
        _folder.File("a/checkpoint-3/adapter_model.safetensors", "x");
        return "a";
    }

    [Fact]
    public void What_is_pushed_is_what_comes_back_and_records_stay_here()
    {
        var result = Run("hf_secret", "push", Adapter(), "me/mine", "--message", "First");
        Assert.True(result.ExitCode == 0, result.Error);
        Assert.Equal($"{_hub.Endpoint}/me/mine", result.Output.Trim());
        Assert.Equal(["README.md", "adapter_config.json", "adapter_model.safetensors", "tokenizer.json"], _hub.Files.Keys.Order(StringComparer.Ordinal));
        foreach (var (name, bytes) in _hub.Files) Assert.Equal(File.ReadAllBytes(Path.Combine(_folder.Path, "a", name)), bytes);
        Assert.Equal(("mine", "me", true, "First"), (_hub.CreatedName, _hub.CreatedOwner, _hub.CreatedPrivate, _hub.CommitTitle));
        // The token goes to the hub and to no storage, and nobody sees it.
        Assert.All(_hub.Requests.Where(one => one.Where == "endpoint"), one => Assert.Equal("Bearer hf_secret", one.Token));
        Assert.All(_hub.Requests.Where(one => one.Where == "storage"), one => Assert.Null(one.Token));
        Assert.DoesNotContain("hf_secret", result.Output + result.Error, StringComparison.Ordinal);

        var sent = _hub.Count("storage", "PUT");
        Assert.Equal(1, sent);
        Assert.Equal(0, Run("hf_secret", "push", "a", "me/mine", "--quiet").ExitCode);
        // What the storage has already is not sent again.
        Assert.Equal(sent, _hub.Count("storage", "PUT"));
        var folder = Run(null, "download", "me/mine").Output.Trim();
        Assert.Equal(File.ReadAllBytes(Path.Combine(_folder.Path, "a", "adapter_model.safetensors")),
            File.ReadAllBytes(Path.Combine(folder, "adapter_model.safetensors")));
    }

    [Fact]
    public void A_push_that_cannot_be_says_why_and_commits_nothing()
    {
        Adapter();
        Assert.Contains("HF_TOKEN", Assert.Single(Run(null, "push", "a", "me/mine").Faults(69)), StringComparison.Ordinal);
        _hub.Fault = (_, context) => { context.Response.StatusCode = 403; return true; };
        Assert.Contains("write", Assert.Single(Run("hf_secret", "push", "a", "me/mine").Faults(69)), StringComparison.Ordinal);
        _hub.Fault = (where, context) => { if (where == "storage") context.Response.StatusCode = 400; return where == "storage"; };
        Assert.Contains("storage", Assert.Single(Run("hf_secret", "push", "a", "me/mine").Faults(69)), StringComparison.Ordinal);
        Assert.Empty(_hub.Files);
        Assert.Contains("ORG/NAME", Assert.Single(Run("hf_secret", "push", "a", "mine").Faults(2)), StringComparison.Ordinal);
        _folder.File("b/x.txt", "");
        Assert.Contains("neither", Assert.Single(Run("hf_secret", "push", "b", "me/mine").Faults(2)), StringComparison.Ordinal);
    }

    [Fact]
    public void A_dry_run_lists_the_files_and_asks_nobody_and_a_base_of_this_machine_is_told()
    {
        Adapter();
        _folder.File("a/adapter_config.json",
            """{"peft_type":"LORA","r":8,"lora_alpha":16,"target_modules":["q_proj"],"base_model_name_or_path":"/somewhere/else/base"}""");
        var result = Run("hf_secret", "push", "a", "me/mine", "--dry-run");
        Assert.Contains("adapter_model.safetensors ", result.Output, StringComparison.Ordinal);
        Assert.Contains("'/somewhere/else/base', which others do not have", result.Error, StringComparison.Ordinal);
        Assert.Empty(_hub.Requests);
    }
}
