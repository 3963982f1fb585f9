namespace Trainer.Smoke.Tests.Runs;

[Trait("ring", "smoke")]
public sealed class SampleTests
{
    [Fact]
    [Trait("ring", "slow")]
    public void Samples_change_no_bit_of_what_is_trained()
    {
        using var folder = new TemporaryFolder();
        string In(string name) => Path.Combine(folder.Path, name);
        var rows = Enumerable.Range(0, 20).Select(
            i =>
                $$"""{"messages":[{"role":"user","content":"Where is key {{i}}?"},{"role":"assistant","content":"Arr! Key {{i * 7 % 13}} is in the harbour."}]}""");
        File.WriteAllLines(In("rows.jsonl"), rows);
        File.WriteAllLines(In("prompts.txt"), ["Where is the key?"]);
        string[] words = ["train", "--model", "tiny", "--data", In("rows.jsonl"), "--eval-split", "0.2", "--eval-steps", "1", "--max-steps", "3",
            "--lora-dropout", "0.1", "--output"];
        var without = TrainerProgram.Run([.. words, In("without")]);
        var with = TrainerProgram.Run([.. words, In("with"), "--sample-prompts", In("prompts.txt")]);
        Assert.True(without.ExitCode == 0 && with.ExitCode == 0, without.Error + with.Error);
        Assert.Contains("sample at step 2", with.Output + with.Error, StringComparison.Ordinal);
        Assert.Equal(File.ReadAllBytes(Path.Combine(In("without"), "adapter_model.safetensors")),
            File.ReadAllBytes(Path.Combine(In("with"), "adapter_model.safetensors")));
    }
}
