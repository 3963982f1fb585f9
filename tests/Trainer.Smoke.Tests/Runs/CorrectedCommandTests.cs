namespace Trainer.Smoke.Tests.Runs;

[Trait("ring", "smoke")]
public sealed class CorrectedCommandTests
{
    [Fact]
    [Trait("ring", "slow")]
    public void A_command_that_failed_before_its_first_step_can_be_corrected_and_typed_again()
    {
        using var folder = new TemporaryFolder();
        var output = Path.Combine(folder.Path, "run");
        string[] train = ["train", "--model", "tiny", "--data", "demo", "--max-steps", "1", "--gradient-accumulation-steps", "1", "--output-dir", output];

        TrainerProgram.Run([.. train, "--target-modules", "nothing_like_it"]).Faults(2);
        var corrected = TrainerProgram.Run([.. train, "--lora-rank", "4"]);

        Assert.True(corrected.ExitCode == 0, corrected.Error);
        Assert.True(File.Exists(Path.Combine(output, "adapter_model.safetensors")));
    }

    [Fact]
    [Trait("ring", "slow")]
    public void A_run_refused_at_its_first_loss_leaves_nothing_and_can_be_typed_again()
    {
        using var folder = new TemporaryFolder();
        var output = Path.Combine(folder.Path, "run");
        string[] train =
        [
            "train", "--model", Path.Combine(TrainerProgram.Repository, "tests", "fixtures", "models", "llama31"), "--data",
            folder.File("ids.jsonl", "{\"input_ids\":[5,6,7,8,9,10,11,12]}\n"),
            "--max-steps", "1", "--report-to", "tensorboard,html", "--output-dir", output,
        ];
        Assert.Contains("the first loss is", Assert.Single(TrainerProgram.Run(train).Faults(65)), StringComparison.Ordinal);
        Assert.False(Directory.Exists(output));

        // What was there stays.
        var kept = folder.File("run/notes.txt", "mine");
        TrainerProgram.Run(train).Faults(65);
        Assert.Equal([kept], Directory.GetFileSystemEntries(output));

        var corrected = TrainerProgram.Run([.. train, "--allow-high-loss"]);
        Assert.True(corrected.ExitCode == 0, corrected.Error);
        Assert.True(File.Exists(kept));
    }

    [Fact]
    [Trait("ring", "slow")]
    public void A_damaged_row_of_an_earlier_part_does_not_undo_the_run_that_went_on()
    {
        using var folder = new TemporaryFolder();
        string[] train = ["train", "--model", "tiny", "--data", "demo", "--gradient-accumulation-steps", "1", "--save-steps", "1", "--report-to", "html",
            "--output-dir", Path.Combine(folder.Path, "run")];
        TrainerProgram.Run([.. train, "--max-steps", "2"]);
        var metrics = Path.Combine(folder.Path, "run", "metrics.jsonl");
        File.WriteAllText(metrics, "[]" + File.ReadAllText(metrics)[2..]);
        var resumed = TrainerProgram.Run([.. train, "--max-steps", "3", "--resume"]);
        Assert.True(resumed.ExitCode == 0, resumed.Error);
        Assert.Contains("warning: the losses cannot be shown: not a row of metrics", resumed.Error, StringComparison.Ordinal);
        Assert.Contains("adapter ", resumed.Error, StringComparison.Ordinal);
    }
}
