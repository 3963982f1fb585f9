using Trainer.Data;
using Trainer.Training.Records;
using Trainer.Training.Rollouts;

namespace Trainer.Engine.Tests.Training;

/// <summary>Reward programs as users write them, good ones and those that fail: each fault is one sentence, and none holds the run.</summary>
[Trait("ring", "unit")]
public class RewardProgramTests
{
    private static readonly string[] Questions = ["""{"completion":"aa"}""", """{"completion":"bbbb"}""", """{"completion":"c"}"""];
    private static readonly RowSource[] Rows = [new("d.jsonl", 1), new("d.jsonl", 2), new("d.jsonl", 3)];

    [Theory]
    [InlineData("while read -r line; do echo ${#line}; done", "19 21 18")]
    [InlineData("while read -r line; do echo $((${#line} / 2)).5; done", "9.5 10.5 9.5")]
    [InlineData("while read -r line; do echo '{\"reward\": 1e-1, \"why\": \"short\"}'; done", "0.1 0.1 0.1")]
    [InlineData("while read -r line; do echo null; done", "- - -")]
    public void A_line_for_each_answer_is_its_reward(string command, string expected)
    {
        using var program = Program(command);
        for (var again = 0; again < 2; again++) Assert.Equal(expected, Shown(program.Ask(Questions, Rows, static () => { })));
    }

    [Fact]
    public void A_program_that_answers_before_it_has_read_all_never_waits_for_us()
    {
        using var program = Program("while read -r line; do echo 1; done");
        var many = Enumerable.Repeat(new string('x', 2000), 2000).ToList();
        Assert.Equal(2000, program.Ask(many, [.. many.Select((_, i) => new RowSource("d", i))], static () => { }).Length);
    }

    [Theory]
    [InlineData("read -r line; echo 1; exit 3", "ended with exit code 3 after 1 of 3 answers", false)]
    [InlineData("echo no such thing >&2; exit 1", "ended with exit code 1 after 0 of 3 answers: no such thing", false)]
    [InlineData("nonesuch-program", "ended with exit code 127 after 0 of 3 answers: ", false)]
    [InlineData("read -r line; echo 1; cat > /dev/null", "gave no answer for 0.4s (1 of 3 answered, next d.jsonl:2)", false)]
    [InlineData("while read -r line; do echo NaN; done", "answered 'NaN', which is no finite number (answer 1 of 3, d.jsonl:1)", true)]
    [InlineData("while read -r line; do echo -inf; done", "answered '-inf', which is no finite number", true)]
    [InlineData("while read -r line; do echo 1e999; done", "answered '1e999', which is no finite number", true)]
    [InlineData("read -r line; echo 1; while read -r line; do echo very good; done", "answered 'very good' where a number is meant (answer 2 of 3, "
        + "d.jsonl:2)", true)]
    [InlineData("while read -r line; do echo; done", "answered an empty line where a number is meant", true)]
    [InlineData("while read -r line; do echo '\"1\"'; done", "answered '\"1\"' where a number is meant", true)]
    [InlineData("while read -r line; do echo '{\"score\": 1}'; done", "an object without 'reward'", true)]
    [InlineData("tr -d '\\n' < /dev/zero | tr '\\0' 'x'", "wrote a line of more than 65536 letters", true)]
    public void A_fault_is_one_sentence(string command, string what, bool isBadAnswer)
    {
        using var program = Program(command);
        var fault = Assert.Throws<RewardException>(() => program.Ask(Questions, Rows, static () => { }));
        Assert.Contains(what, fault.Message, StringComparison.Ordinal);
        Assert.Contains($"--reward-command '{command}'", fault.Message, StringComparison.Ordinal);
        Assert.Equal(isBadAnswer, fault.IsBadAnswer);
    }

    [Fact]
    public void Lines_that_nobody_asked_for_are_a_fault_of_the_next_question()
    {
        using var program = Program("while read -r line; do echo 1; echo 2; done");
        program.Ask(Questions, Rows, static () => { });
        Thread.Sleep(200);
        Assert.Contains("answered more lines than it was asked, such as '2'",
            Assert.Throws<RewardException>(() => program.Ask(Questions, Rows, static () => { })).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_it_complains_of_is_told_and_no_fault()
    {
        var seen = new List<string>();
        using var program = new RewardProgram("while read -r line; do echo careful >&2; echo 1; done", "p", TimeSpan.FromSeconds(5),
            new Events([new Told(seen)]));
        program.Ask(Questions, Rows, static () => { });
        Thread.Sleep(200);
        program.Ask(Questions, Rows, static () => { });
        Assert.Contains("reward p: careful", seen);
    }

    [Fact]
    public void A_stop_ends_the_waiting_and_the_program_ends_with_its_owner()
    {
        var program = Program("trap '' TERM; echo $$ >&2; cat > /dev/null; sleep 60", TimeSpan.FromMinutes(1));
        Assert.Throws<OperationCanceledException>(() => program.Ask(Questions, Rows, static () => throw new OperationCanceledException()));
        var watch = System.Diagnostics.Stopwatch.StartNew();
        program.Dispose();
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(30));
    }

    [Theory]
    [InlineData("awk -f score.awk|./judge --strict|awk -f score.awk", "awk|judge|awk_2")]
    [InlineData("'%%'", "reward")]
    public void Names_are_those_of_the_programs(string commands, string names) => Assert.Equal(names.Split('|'), RewardNames.Of(commands.Split('|')));

    [Fact]
    public void A_script_that_is_there_gives_its_name()
    {
        var file = Path.Combine(Path.GetTempPath(), $"exactly-{Environment.ProcessId}.awk");
        File.WriteAllText(file, "");
        try
        {
            Assert.Equal([Path.GetFileNameWithoutExtension(file)], RewardNames.Of([$"awk -f {file} -v x=1"]));
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static RewardProgram Program(string command, TimeSpan? limit = null) => new(command, "p", limit ?? TimeSpan.FromMilliseconds(
        command.Contains("cat >", StringComparison.Ordinal) ? 400 : 20_000), new Events([]));

    private static string Shown(double?[] rewards) =>
        string.Join(' ', rewards.Select(reward => reward?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "-"));

    private sealed class Told(List<string> seen) : Trainer.Training.ITrainingObserver
    {
        public void On(Trainer.Training.TrainingEvent trainingEvent)
        {
            if (trainingEvent is Trainer.Training.Noted note) seen.Add(note.Text);
        }
    }
}
