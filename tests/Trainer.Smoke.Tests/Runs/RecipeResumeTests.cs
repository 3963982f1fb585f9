namespace Trainer.Smoke.Tests.Runs;

/// <summary>The documented way to go on after a stop: the recipe that the run left, with --resume.</summary>
[Trait("ring", "smoke")]
public sealed class RecipeResumeTests
{
    private static readonly string[] Short =
        ["--model", "tiny", "--data", "demo", "--batch-size", "1", "--gradient-accumulation-steps", "1", "--max-seq-length", "64", "--on-too-long", "drop",
        "--report-to", "none", "--threads", "1"];

    [Theory]
    [InlineData("--learning-rate 0.00012345678901234567 --adam-epsilon 1e-10 --overwrite-output-dir --eval-split 0.1")]
    [InlineData("--no-shuffle --no-group-by-length --quantize none --lora-rank 3 --alpha-pattern q_proj=0.1 --loraplus-ratio 1.1 --max-time 90.5m")]
    public void A_run_of_any_options_goes_on_by_its_recipe(string options)
    {
        using var folder = new TemporaryFolder();
        var output = Path.Combine(folder.Path, "run");
        var first = TrainerProgram.RunWarm(["train", .. Short, "--max-steps", "2", "--save-steps", "1", "--output-dir", output, .. options.Split(' ')]);
        Assert.True(first.ExitCode == 0, first.Error);
        var recipe = Path.Combine(output, "recipe.yaml");
        Assert.DoesNotContain("overwrite", File.ReadAllText(recipe), StringComparison.Ordinal);

        Assert.Contains("holds another run", TrainerProgram.RunWarm("train", "--config", recipe).Faults(2)[0], StringComparison.Ordinal);
        var second = TrainerProgram.RunWarm("train", "--config", recipe, "--resume", "--max-steps", "3");

        Assert.True(second.ExitCode == 0, second.Error);
        Assert.True(Directory.Exists(Path.Combine(output, "checkpoint-3")));
    }

    [Fact]
    public void A_resumed_run_leaves_no_hole_in_the_curves()
    {
        using var folder = new TemporaryFolder();
        var output = Path.Combine(folder.Path, "run");
        string[] train = ["train", .. Short[..^4], "--threads", "1", "--logging-steps", "1", "--save-steps", "2", "--output-dir", output];
        Assert.Equal(0, TrainerProgram.RunWarm([.. train, "--max-steps", "2"]).ExitCode);
        Assert.Equal(0, TrainerProgram.RunWarm([.. train, "--max-steps", "4", "--resume"]).ExitCode);
        var parts = Directory.GetFiles(Path.Combine(output, "runs")).Order(StringComparer.Ordinal).Select(EventSteps.Read).ToList();
        Assert.Equal([1, 2], parts[0].Losses);
        // The reader forgets what came at this step and after it.
        Assert.Equal(3, parts[1].RestartedAt);
        Assert.Equal([3, 4], parts[1].Losses);
    }
}
