namespace Trainer.Smoke.Tests.Runs;

/// <summary>What the program says about the machine and about itself.</summary>
[Trait("ring", "smoke")]
public sealed class MachineTests
{
    [Fact]
    [Trait("ring", "slow")]
    public void Selftest_passes_on_the_embedded_model()
    {
        var result = TrainerProgram.Run("selftest", "--json").Json();
        Assert.True(result.GetProperty("ok").GetBoolean(), result.GetRawText());
        Assert.Equal(["train", "resume", "adapter", "merge"],
            result.GetProperty("tests").EnumerateArray().Select(test => test.GetProperty("name").GetString()!));
    }

    [Fact]
    public void Doctor_finds_everything_and_says_so_as_json() => Assert.True(TrainerProgram.Run("doctor", "--json").Json().GetProperty("ok").GetBoolean());

    [Fact]
    public void A_missing_native_library_is_named_and_the_misleading_text_is_not_shown()
    {
        using var folder = new TemporaryFolder();
        // The program without libtorch: everything is linked into a new folder but the library that fails to load.
        var home = Path.GetDirectoryName(TrainerProgram.FilePath)!;
        foreach (var entry in Directory.EnumerateFileSystemEntries(home))
            if (Path.GetFileName(entry) != "libtorch_cpu.so") File.CreateSymbolicLink(Path.Combine(folder.Path, Path.GetFileName(entry)), entry);
        File.Delete(Path.Combine(folder.Path, "trainer.dll"));
        File.Copy(TrainerProgram.FilePath, Path.Combine(folder.Path, "trainer.dll"));
        var result = TrainerProgram.Run(new ProgramRun("doctor") { Program = Path.Combine(folder.Path, "trainer.dll") });
        Assert.Equal(69, result.ExitCode);
        Assert.Contains("libtorch_cpu.so is missing", result.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("reference to", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_plan_needs_config_json_alone_and_lists_what_fits()
    {
        using var folder = new TemporaryFolder();
        folder.File("m/config.json",
            "{\"model_type\":\"llama\",\"hidden_size\":8192,\"intermediate_size\":28672,\"num_hidden_layers\":80,\"num_attention_heads\":64,"
            + "\"num_key_value_heads\":8,\"vocab_size\":128256,\"rms_norm_eps\":1e-5,\"rope_theta\":500000,"
            + "\"max_position_embeddings\":131072,\"tie_word_embeddings\":false}");
        string[] words = ["plan", "--model", "m", "--batch-size", "1", "--lora-rank", "16", "--max-steps", "5000", "--output", "models/hermes-70b-lora",
            "--json"];
        var plan = TrainerProgram.Run(new ProgramRun([.. words, "--max-memory", "1TiB"]) { Directory = folder.Path }).Json();
        Assert.Equal(5000, plan.GetProperty("total_steps").GetInt64());
        Assert.InRange(plan.GetProperty("base_parameters").GetInt64(), 70_000_000_000, 71_000_000_000);
        var small = TrainerProgram.Run(new ProgramRun([.. words, "--max-memory", "8GiB"]) { Directory = folder.Path });
        Assert.Equal(4, small.ExitCode);
        Assert.True(System.Text.Json.JsonDocument.Parse(small.Output).RootElement.GetProperty("changes").GetArrayLength() > 0);
        Assert.Contains("too big", TrainerProgram.Run("plan", "--memory", "2GiB", "--list").Output, StringComparison.Ordinal);
    }
}
