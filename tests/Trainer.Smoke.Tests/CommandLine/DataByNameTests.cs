namespace Trainer.Smoke.Tests.CommandLine;

/// <summary>Data sets of the hub by name, from the cache that every Hugging Face tool shares.</summary>
[Trait("ring", "smoke")]
public sealed class DataByNameTests
{
    private const string Commit = "0123456789abcdef0123456789abcdef01234567";

    private static void Cache(TemporaryFolder folder, string name, params (string File, string Content)[] files)
    {
        var repository = $"hub/datasets--{name.Replace("/", "--", StringComparison.Ordinal)}";
        folder.File($"{repository}/refs/main", Commit);
        foreach (var (file, content) in files) folder.File($"{repository}/snapshots/{Commit}/{file}", content);
    }

    private static ProgramResult Show(TemporaryFolder folder, string name) => TrainerProgram.RunWarm(
        new ProgramRun("data", "show", "--model", "tiny", "--json", "--data",
        name) { Directory = folder.Path, Environment = new Dictionary<string, string> { ["HF_HUB_CACHE"] = Path.Combine(folder.Path, "hub") } });

    private static string Texts(TemporaryFolder folder, string name) =>
        string.Join(' ', Show(folder, name).Json().EnumerateArray().Select(row => row.GetProperty("text").GetString()!.Split("<|")[0]));

    [Theory]
    [InlineData("org/set", "a b c d")]
    [InlineData("org/set@main", "a b c d")]
    [InlineData("org/set@0123456", "a b c d")]
    [InlineData("org/set/test", "x")]
    [InlineData("org/set@test", "x")]
    [InlineData("org/set/train[:50%]", "a b")]
    [InlineData("org/set/train[1:2]+test", "b x")]
    [InlineData("org/set[-1:]", "d")]
    [InlineData("org/set:small", "s")]
    [InlineData("org/set:small/train[:1]", "s")]
    [InlineData("org/set:small@train", "s")]
    [InlineData("org/set@train+test", "a b c d x")]
    [InlineData("org/set,subset=small", "s")]
    [InlineData("org/set,split=test,text=text", "x")]
    [InlineData("alone", "z")]
    [InlineData("alone/train", "z")]
    public void A_name_means_revision_subset_and_split(string name, string texts)
    {
        using var folder = new TemporaryFolder();
        Cache(folder, "org/set",
            ("README.md", "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: data/train*\n  - split: test\n    path: "
            + "data/test*\n- config_name: small\n  data_files: small.jsonl\n---\n"),
            ("data/train.jsonl", "{\"text\":\"a\"}\n{\"text\":\"b\"}\n{\"text\":\"c\"}\n{\"text\":\"d\"}\n"), ("data/test.jsonl", "{\"text\":\"x\"}\n"),
            ("small.jsonl", "{\"text\":\"s\"}\n"));
        Cache(folder, "alone", ("train.jsonl", "{\"text\":\"z\"}\n"));
        Assert.Equal(texts, Texts(folder, name));
    }

    [Fact]
    public void What_is_not_there_is_said_with_what_fetches_it()
    {
        using var folder = new TemporaryFolder();
        Cache(folder, "org/set", ("train.jsonl", "{\"text\":\"a\"}\n"));
        Assert.Contains("trainer download --dataset org/other", Show(folder, "org/other").Error, StringComparison.Ordinal);
        Assert.Contains("has no split 'test': it has 'train'", Show(folder, "org/set/test").Error, StringComparison.Ordinal);
        Assert.DoesNotContain("download", Show(folder, "rows.jsonl").Error, StringComparison.Ordinal);
    }

    [Fact]
    public void The_recipe_of_a_run_names_the_data_set_again()
    {
        using var folder = new TemporaryFolder();
        Cache(folder, "org/set", ("train.jsonl", "{\"text\":\"a\"}\n"));
        var result = TrainerProgram.RunWarm(new ProgramRun("train", "--model", "tiny", "--data", "org/set/train[:1]",
            "--dry-run") { Directory = folder.Path, Environment = new Dictionary<string, string> { ["HF_HUB_CACHE"] = Path.Combine(folder.Path, "hub") } });
        Assert.Contains("path: org/set, weight: 1, split: \"train[:1]\"", result.Output, StringComparison.Ordinal);
    }
}
