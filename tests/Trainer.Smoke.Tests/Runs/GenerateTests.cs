using System.Text.Json;

namespace Trainer.Smoke.Tests.Runs;

/// <summary>Several prompts of one command.</summary>
[Trait("ring", "smoke")]
public sealed class GenerateTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Several_prompts_are_answered_each_as_it_would_be_alone()
    {
        string[] sampling = ["--max-tokens", "9", "--temperature", "0.9", "--seed", "7", "--json"];
        var file = Write("prompts.jsonl", "\"Who are you?\"\n\n{\"prompt\": \"What colour is a banana?\"}\n\"Who are you?\"\n");
        var run = Generate(["--prompts", file, "--batch-size", "2", .. sampling]);
        Assert.True(run.ExitCode == 0, run.Error);
        var answers = JsonDocument.Parse(run.Output).RootElement.EnumerateArray().ToList();
        Assert.Equal(["Who are you?", "What colour is a banana?", "Who are you?"], answers.Select(answer => answer.GetProperty("prompt").GetString()!));
        foreach (var answer in answers.Take(2))
        {
            var alone = JsonDocument.Parse(Generate(["--prompt", answer.GetProperty("prompt").GetString()!, .. sampling]).Output).RootElement;
            foreach (var key in (string[])["text", "tokens", "prompt_tokens", "finish_reason"])
                Assert.Equal(alone.GetProperty(key).ToString(), answer.GetProperty(key).ToString());
        }
        var text = Generate(["--prompt", "Who are you?", "--prompt", "What colour is a banana?", "--max-tokens", "9"]);
        Assert.Equal(["--- 1: Who are you?", "--- 2: What colour is a banana?"],
            text.Output.Split('\n').Where(line => line.StartsWith("---", StringComparison.Ordinal)));
    }

    /// <summary>A run that learns from rewards has options of the same names and other bounds.</summary>
    [Fact]
    public void Sampling_has_the_bounds_of_its_own_options()
    {
        string[] words = ["--prompt", "Who are you?", "--max-tokens", "9"];
        var plain = Generate(words).Output;
        Assert.Equal(plain, Generate([.. words, "--temperature", "0", "--repetition-penalty", "1"]).Output);
        Assert.Equal(plain, Generate([.. words, "--temperature", "0.5", "--min-p", "0.99"]).Output);
        Assert.Contains("below 1", Assert.Single(Generate([.. words, "--temperature", "0.5", "--min-p", "1"]).Faults(2)), StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_without_prompts_and_prompts_of_two_kinds_are_refused()
    {
        Assert.Contains("keep one", Assert.Single(Generate(["--prompts", Write("a.txt", "a\n"), "--prompt", "b"]).Faults(2)), StringComparison.Ordinal);
        Assert.Contains("no such file", Assert.Single(Generate(["--prompts", "nowhere.txt"]).Faults(2)), StringComparison.Ordinal);
        Assert.Contains("the file is empty", Assert.Single(Generate(["--prompts", Write("empty.txt", "\n \n")]).Faults(65)), StringComparison.Ordinal);
        Assert.Contains("bad.jsonl:2", Assert.Single(Generate(["--prompts", Write("bad.jsonl", "\"a\"\n{\"text\": 1}\n")]).Faults(65)),
            StringComparison.Ordinal);
    }

    private ProgramResult Generate(string[] words)
        => TrainerProgram.RunWarm(new ProgramRun(["generate", "--model", "tiny", .. words]) { Directory = _folder.Path });

    private string Write(string name, string text)
    {
        File.WriteAllText(Path.Combine(_folder.Path, name), text);
        return name;
    }
}
