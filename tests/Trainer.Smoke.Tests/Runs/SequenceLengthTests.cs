namespace Trainer.Smoke.Tests.Runs;

[Trait("ring", "smoke")]
public sealed class SequenceLengthTests
{
    private static readonly string LongText = $$"""{"text":"{{string.Concat(Enumerable.Repeat("A banana is yellow. ", 200))}}"}""" + "\n";

    [Fact]
    public void Without_a_limit_of_the_user_long_text_is_split_at_the_model_s_positions()
    {
        using var folder = new TemporaryFolder();

        var rows = TrainerProgram.RunWarm("data", "check", "--model", "tiny", "--data", folder.File("long.jsonl", LongText), "--json").Json();

        // The embedded model has 256 positions; the row has 1600 tokens.
        Assert.InRange(rows.GetProperty("examples").GetInt32(), 4, 20);
    }

    [Fact]
    public void An_evaluation_follows_the_model_s_positions_as_training_does_and_a_longer_limit_is_warned_of()
    {
        using var folder = new TemporaryFolder();
        var data = folder.File("long.jsonl", LongText);

        var checkedRows = TrainerProgram.RunWarm("data", "check", "--model", "tiny", "--data", data, "--json").Json();
        var measured = TrainerProgram.RunWarm("eval", "--model", "tiny", "--data", data, "--per-row", "--json").Json();
        var longer = TrainerProgram.RunWarm("eval", "--model", "tiny", "--data", data, "--max-seq-length", "2048");
        var planned = TrainerProgram.RunWarm("plan", "--model", "tiny", "--no-measure", "--max-seq-length", "2048");
        var looked = TrainerProgram.RunWarm("data", "check", "--model", "tiny", "--data", data, "--max-seq-length", "2048");

        Assert.Equal(checkedRows.GetProperty("examples").GetInt32(), measured.GetProperty("rows").GetArrayLength());
        Assert.Contains("warning: --max-seq-length 2048 is above the 256 positions of 'tiny'", longer.Error, StringComparison.Ordinal);
        Assert.Contains("warning: --max-seq-length 2048 is above the 256 positions of 'tiny'", planned.Error, StringComparison.Ordinal);
        Assert.Contains("tokens go beyond the 256 positions", looked.Error, StringComparison.Ordinal);
        Assert.Equal(0, looked.ExitCode);
    }

    [Fact]
    public void A_limit_of_the_user_refuses_longer_text_and_says_how_to_split_it()
    {
        using var folder = new TemporaryFolder();

        var refused = TrainerProgram.RunWarm("train", "--model", "tiny", "--data", folder.File("long.jsonl", LongText), "--max-seq-length", "64",
            "--output-dir",
            Path.Combine(folder.Path, "run")).Faults(65);

        Assert.Contains("--on-too-long split", Assert.Single(refused));
    }
}
