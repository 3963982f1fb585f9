namespace Trainer.Smoke.Tests.Runs;

/// <summary>A run is known by its folder: what came out, how it goes on, how its adapter is tried.</summary>
[Trait("ring", "smoke")]
public sealed class DailyUseTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private ProgramResult Trainer(params string[] words) => TrainerProgram.RunWarm(new ProgramRun(words) { Directory = _folder.Path });

    private static string[] Words(string output, params string[] more) =>
        ["train", "--model", "tiny", "--data", "demo", "--eval-split", "0", "--batch-size", "4", "--max-seq-length", "128", "--output", output, .. more];

    private ProgramResult Train(string output, params string[] more) => Trainer(Words(output, more));

    [Fact]
    public void A_run_folder_alone_is_enough_to_read_resume_and_try_it()
    {
        // Started afresh: the command line is the process's own, and is kept.
        var run = TrainerProgram.Run(new ProgramRun(Words("my run", "--max-steps", "4", "--save-steps", "2")) { Directory = _folder.Path });
        Assert.True(run.ExitCode == 0, run.Error);
        Assert.Contains("adapter      my run (that of step 4, the last", run.Error, StringComparison.Ordinal);
        Assert.Contains("report       my run/report.html", run.Error, StringComparison.Ordinal);
        Assert.Contains("try it       trainer chat 'my run'", run.Error, StringComparison.Ordinal);

        var listed = Assert.Single(Trainer("runs", ".", "--json").Json().EnumerateArray());
        Assert.Equal("done", listed.GetProperty("state").GetString());
        Assert.Contains("--output 'my run'", listed.GetProperty("command").GetString(), StringComparison.Ordinal);

        Assert.Equal(0, Trainer("generate", "my run", "Who are you?", "--max-tokens", "3").ExitCode);
        Assert.Equal(0, Trainer("generate", "--model", "my run/checkpoint-2", "--prompt", "Who are you?", "--max-tokens", "3").ExitCode);
        var adapted = Trainer("eval", "my run", "--data", "demo", "--json").Json().GetProperty("loss").GetDouble();
        Assert.Equal(adapted, Trainer("eval", "--model", "tiny", "--adapter", "my run", "--data", "demo", "--json").Json().GetProperty("loss").GetDouble());
        Assert.NotEqual(adapted, Trainer("eval", "tiny", "--data", "demo", "--json").Json().GetProperty("loss").GetDouble());

        var further = Trainer("train", "--resume", "my run", "--max-steps", "6");
        Assert.True(further.ExitCode == 0, further.Error);
        var whole = Train("whole", "--max-steps", "4", "--save-steps", "2");
        Assert.Equal(0, whole.ExitCode);
        Assert.Equal(0, Trainer("resume", "whole", "--max-steps", "6").ExitCode);
        Assert.Equal(File.ReadAllBytes(Path.Combine(_folder.Path, "my run", "adapter_model.safetensors")),
            File.ReadAllBytes(Path.Combine(_folder.Path, "whole", "adapter_model.safetensors")));
    }

    [Fact]
    public async Task A_stopped_run_says_the_line_that_goes_on_and_its_page_says_that_it_stopped()
    {
        var (metrics, isOver) = (Path.Combine(_folder.Path, "it's", "metrics.jsonl"), false);
        var stop = Task.Run(async () =>
        {
            // Once a step is made.
            while (!Volatile.Read(ref isOver) && (!File.Exists(metrics) || new FileInfo(metrics).Length == 0)) await Task.Delay(20);
            if (!Volatile.Read(ref isOver)) File.WriteAllText(Path.Combine(Path.GetDirectoryName(metrics)!, "STOP"), "");
        });
        var stopped = Train("it's", "--max-steps", "100000");
        Volatile.Write(ref isOver, true);
        await stop;
        Assert.Equal(130, stopped.ExitCode);
        Assert.Contains(@"go on with: trainer resume 'it'\''s'", stopped.Error, StringComparison.Ordinal);
        var page = File.ReadAllText(Path.Combine(_folder.Path, "it's", "report.html"));
        Assert.DoesNotContain("http-equiv=\"refresh\"", page, StringComparison.Ordinal);
        Assert.Equal("stopped", Trainer("runs", ".", "--json").Json()[0].GetProperty("state").GetString());
        Assert.Contains("stopped after step", Trainer("inspect", "it's").Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_command_is_run_when_a_run_has_ended_and_a_recipe_cannot_name_one()
    {
        Assert.Equal(0, Train("ended", "--max-steps", "1", "--on-finish",
            "echo \"$TRAINER_STATE $TRAINER_EXIT_CODE $(basename \"$TRAINER_RUN\")\" > said").ExitCode);
        Assert.Equal("done 0 ended\n", File.ReadAllText(Path.Combine(_folder.Path, "said")));
        Assert.Equal(65, Train("failed", "--data", _folder.File("bad.jsonl", "{}\n"), "--max-steps", "1", "--on-finish",
            "echo $TRAINER_STATE > said").ExitCode);
        Assert.Equal("failed\n", File.ReadAllText(Path.Combine(_folder.Path, "said")));
        Assert.Equal(2, Trainer("train", _folder.File("r.yaml", "model: tiny\ndata: demo\non_finish: touch x\n")).ExitCode);
    }

    [Fact]
    public void A_run_that_learnt_nothing_is_not_called_the_best_so_far()
    {
        var run = Train("bad", "--eval-data", "demo", "--max-steps", "3", "--learning-rate", "5");
        Assert.DoesNotContain("lowest so far", run.Error, StringComparison.Ordinal);
        Assert.Contains("no lower than", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_home_folder_is_one_in_a_recipe_too()
    {
        var recipe = _folder.File("r.yaml", "model: tiny\ndata: demo\nmax_steps: 1\noutput_dir: ~/run1\n");
        var run = TrainerProgram.RunWarm(new ProgramRun("train",
            recipe) { Directory = _folder.Path, Environment = new Dictionary<string, string> { ["HOME"] = Path.Combine(_folder.Path, "home") } });
        Assert.True(run.ExitCode == 0, run.Error);
        Assert.True(File.Exists(Path.Combine(_folder.Path, "home", "run1", "adapter_model.safetensors")));
        Assert.False(Directory.Exists(Path.Combine(_folder.Path, "~")));
    }

    [Theory]
    [InlineData("{\"question\":\"a\",\"answer\":\"b\"}", 65, "question")]
    [InlineData("{\"text\":\"a banana is yellow\"}", 0, "nothing was written")]
    public void A_dry_run_finds_what_a_run_would(string row, int exitCode, string said)
    {
        var data = _folder.File("d.jsonl", row + "\n" + row + "\n");
        var dry = Trainer("train", "--model", "tiny", "--data", data, "--output", "x", "--dry-run");
        Assert.Equal(exitCode, dry.ExitCode);
        Assert.Contains(said, dry.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(_folder.Path, "x")));
    }
}
