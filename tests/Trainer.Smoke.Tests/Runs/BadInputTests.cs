namespace Trainer.Smoke.Tests.Runs;

/// <summary>What users hand in by mistake: one line each, the right exit code, nothing half-written.</summary>
[Trait("ring", "smoke")]
public sealed class BadInputTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string Fault(int exitCode, params string[] words)
    {
        var output = Path.Combine(_folder.Path, "out");
        var fault = Assert.Single(TrainerProgram.RunWarm(["train", "--max-steps", "1", "--output-dir", output, .. words]).Faults(exitCode));
        Assert.DoesNotContain('\n', fault);
        Assert.False(File.Exists(Path.Combine(output, "adapter_model.safetensors")));
        return fault;
    }

    [Theory]
    [InlineData("{\"messages\": [", "data.jsonl:2")]
    [InlineData("{\"messages\": \"hello\"}", "data.jsonl:2")]
    [InlineData("{\"prompt\": 3, \"completion\": \"x\"}", "data.jsonl:2")]
    [InlineData("{\"hello\": \"world\"}", "data.jsonl:2")]
    public void A_bad_row_is_named_with_file_and_line(string row, string where)
    {
        var data = _folder.File("data.jsonl", "{\"text\": \"good\"}\n" + row + "\n");
        Assert.Contains(where, Fault(65, "--model", "tiny", "--data", data), StringComparison.Ordinal);
    }

    [Fact]
    public void A_template_that_cannot_be_read_is_bad_input() =>
        Assert.Contains("marks.jinja", Fault(65, "--model", "tiny", "--data", "demo", "--chat-template",
        _folder.File("marks.jinja", "{% for m in messages %}{{ m.content }")), StringComparison.Ordinal);

    [Fact]
    public void Empty_data_is_refused() => Fault(65, "--model", "tiny", "--data", _folder.File("data.jsonl", ""));

    [Fact]
    public void A_model_folder_without_config_is_refused()
    {
        Directory.CreateDirectory(Path.Combine(_folder.Path, "m"));
        Fault(65, "--model", Path.Combine(_folder.Path, "m"), "--data", "demo");
    }

    [Fact]
    public void An_unknown_family_is_refused_by_name()
    {
        var config = _folder.File("m/config.json", "{\"model_type\": \"frobnicator\"}");
        Assert.Contains("frobnicator", Fault(65, "--model", Path.GetDirectoryName(config)!, "--data", "demo"), StringComparison.Ordinal);
    }

    [Fact]
    public void Truncated_weights_are_refused()
    {
        var tiny = Path.Combine(Path.GetDirectoryName(TrainerProgram.FilePath)!, "configs", "tiny-model");
        var copy = Directory.CreateDirectory(Path.Combine(_folder.Path, "m")).FullName;
        foreach (var file in Directory.EnumerateFiles(tiny)) File.Copy(file, Path.Combine(copy, Path.GetFileName(file)));
        using (var weights = File.OpenWrite(Path.Combine(copy, "model.safetensors"))) weights.SetLength(weights.Length / 2);
        Assert.Contains("model.safetensors", Fault(65, "--model", copy, "--data", "demo"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_run_that_cannot_fit_is_refused_by_its_plan()
    => Assert.Contains("memory", Fault(4, "--model", "tiny", "--data", "demo", "--max-memory", "20MiB"), StringComparison.Ordinal);

    [Fact]
    public void A_target_that_matches_nothing_is_refused() => Fault(2, "--model", "tiny", "--data", "demo", "--target-modules", "nonesuch_proj");

    [Theory]
    [InlineData("data: ", 200_000, "nested deeper than 32 levels")]
    [InlineData("data: ", 40, "nested deeper than 32 levels")]
    [InlineData("data: &a [*a]\n", 0, "'*a'")]
    [Trait("ring", "slow")]
    public void A_recipe_that_never_ends_is_refused(string text, int brackets, string why) =>
        Assert.Contains(why, Fault(2, "--model", "tiny", "--config", _folder.File("r.yaml", text + new string('[', brackets))), StringComparison.Ordinal);

    [Fact]
    public void An_output_that_cannot_be_made_has_its_exit_code()
    {
        var file = _folder.File("taken", "a file");
        var fault = Assert.Single(TrainerProgram.RunWarm("train", "--model", "tiny", "--data", "demo", "--max-steps", "1", "--output-dir",
            Path.Combine(file, "run")).Faults(73));
        Assert.Contains("--output-dir", fault, StringComparison.Ordinal);
    }

    [Fact]
    public void A_mistyped_model_is_answered_with_what_was_meant()
    => Assert.Contains("did you mean 'tiny'?", Fault(69, "--model", "tinny", "--data", "demo"), StringComparison.Ordinal);

    [Fact]
    public void A_bad_string_of_tokenize_is_named_with_its_line()
    {
        var file = _folder.File("s.jsonl", "\"good\"\nbad\n");
        var fault = Assert.Single(TrainerProgram.RunWarm("tokenize", "--model", "tiny", "--input", file, "--json").Faults(65));
        Assert.Contains("s.jsonl:2", fault, StringComparison.Ordinal);
    }

    [Fact]
    public void Tokenize_and_data_show_agree_and_count_code_points()
    {
        var data = _folder.File("d.jsonl", "{\"text\": \"a \\ud83d\\ude42 b\"}\n");
        var row = Assert.Single(TrainerProgram.RunWarm("data", "show", "--model", "tiny", data, "--json").Json().EnumerateArray());
        var line = TrainerProgram.RunWarm("tokenize", "--model", "tiny", "a \ud83d\ude42 b", "--no-special", "--json").Json();
        var ids = line.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32()).ToList();
        var shown = row.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32()).ToList();
        Assert.Contains(string.Join(' ', ids), string.Join(' ', shown), StringComparison.Ordinal);
        Assert.Equal(5, line.GetProperty("offsets").EnumerateArray().Last()[1].GetInt32());
        Assert.Equal(row.GetProperty("text").GetString()!.EnumerateRunes().Count(),
            row.GetProperty("trained_spans").EnumerateArray().Max(span => span[1].GetInt32()));
    }
}
