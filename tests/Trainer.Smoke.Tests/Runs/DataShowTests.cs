namespace Trainer.Smoke.Tests.Runs;

/// <summary><c>trainer data show</c> as people and programs read it.</summary>
[Trait("ring", "smoke")]
public sealed class DataShowTests
{
    private const string GenerationTemplate = "{% for m in messages %}{{ m.role }}: {% if m.role == 'assistant' %}{% generation %}{{ m.content }}{{ eos_token "
        + "}}{% endgeneration %}{% else %}{{ m.content }}{% endif %}\n{% endfor %}";

    [Fact]
    public void The_template_and_the_way_its_answers_were_found_are_told()
    {
        using var folder = new TemporaryFolder();
        var template = folder.File("marks.jinja", GenerationTemplate);
        string[] words = ["data", "show", "--model", "tiny", "--data", "demo", "--rows", "1"];

        var own = Assert.Single(TrainerProgram.RunWarm([.. words, "--json"]).Json().EnumerateArray());
        var marked = Assert.Single(TrainerProgram.RunWarm([.. words, "--json", "--chat-template", template]).Json().EnumerateArray());
        var text = TrainerProgram.RunWarm([.. words, "--chat-template", template]).Output;

        Assert.Contains(own.GetProperty("mask").GetString(), new[] { "generation", "incremental", "sentinel" });
        Assert.NotEqual("", own.GetProperty("template").GetString());
        Assert.Equal("generation", marked.GetProperty("mask").GetString());
        Assert.Contains("marked by the template", text, StringComparison.Ordinal);
        Assert.Contains("\npieces ", text, StringComparison.Ordinal);
        Assert.Contains("\nids ", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Check_calls_a_row_dropped_that_the_run_would_leave_out()
    {
        using var folder = new TemporaryFolder();
        var data = folder.File("d.jsonl", "{\"text\":\"a\"}\n{\"text\":\"b\"\n{\"text\":\"c\"}\n");
        Assert.Contains("refused: ", TrainerProgram.RunWarm("data", "check", "--model", "tiny", data).Output, StringComparison.Ordinal);
        var dropped = TrainerProgram.RunWarm("data", "check", "--model", "tiny", data, "--on-bad-row", "drop");
        Assert.Equal(0, dropped.ExitCode);
        Assert.Contains("\ndropped: ", dropped.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("refused: ", dropped.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Tools_that_the_template_leaves_out_are_told()
    {
        using var folder = new TemporaryFolder();
        var data = folder.File("calls.jsonl", """
            {"messages":[{"role":"user","content":"Weather?"},{"role":"assistant","content":"","tool_calls":[{"type":"function","function":{"name":"forecast_of","arguments":{}}}]}],"tools":[{"type":"function","function":{"name":"forecast_of","parameters":{}}}]}
            """);
        // The answer is the call alone: nothing of it would be trained, so the check refuses what a run would.
        var checkedData = TrainerProgram.RunWarm("data", "check", "--model", "tiny", data, "--json");
        Assert.Equal(65, checkedData.ExitCode);
        var ignored = System.Text.Json.JsonDocument.Parse(checkedData.Output).RootElement.GetProperty("ignored_columns").EnumerateObject()
            .Select(column => column.Name);
        Assert.Equal(["tool_calls (not in the chat template)", "tools (not in the chat template)"], ignored);
    }

    [Fact]
    [Trait("ring", "slow")]
    public void A_template_that_writes_the_date_writes_the_same_one_everywhere()
    {
        using var folder = new TemporaryFolder();
        var template = folder.File("t.jinja", "{{ strftime_now('%Y-%m-%d %H') }}{% for m in messages %}{% generation %}{{ m.content }}{{ eos_token }}{% "
            + "endgeneration %}{% endfor %}");
        var data = folder.File("d.jsonl", "{\"messages\":[{\"role\":\"assistant\",\"content\":\"yes\"}]}\n");
        // More than a day apart: it is never the same date in both.
        var shown = new[] { "Pacific/Kiritimati", "Etc/GMT+12" }.Select(
            zone => TrainerProgram.RunWarm(new ProgramRun("data", "show", "--model", "tiny", "--data", data, "--chat-template", template, "--json")
        { Environment = new Dictionary<string, string> { ["TZ"] = zone } }).Output).ToList();
        Assert.Contains(" 00", shown[0], StringComparison.Ordinal);
        Assert.Equal(shown[0], shown[1]);
        var days = folder.File("days.jinja", "{{ 'one ' * (strftime_now('%d') | int) }}");
        var prompts = new[] { "Pacific/Kiritimati", "Etc/GMT+12" }.Select(
            zone => TrainerProgram.RunWarm(new ProgramRun("generate", "--model", "tiny", "--prompt", "a", "--chat-template", days, "--max-tokens", "1",
                "--json")
        { Environment = new Dictionary<string, string> { ["TZ"] = zone } }).Json().GetProperty("prompt_tokens").GetInt32()).ToList();
        Assert.Equal(prompts[0], prompts[1]);
    }

    [Fact]
    public void The_same_fault_of_many_rows_is_one_line()
    {
        using var folder = new TemporaryFolder();
        var template = folder.File("t.jinja", "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}");
        var data = folder.File("d.jsonl", string.Concat(new[] { "yes", "no (never)", "perhaps" }.Select(
            answer => $"{{\"messages\":[{{\"role\":\"assistant\",\"content\":\"{answer}\"}}]}}\n")));
        var output = TrainerProgram.RunWarm("data", "check", "--model", "tiny", data, "--chat-template", template).Output;
        Assert.Contains("refused: 3 rows such as bad row", output, StringComparison.Ordinal);
    }
}
