namespace Trainer.Smoke.Tests.CommandLine;

/// <summary>The recipes that come with the program.</summary>
[Trait("ring", "smoke")]
public sealed class RecipeFilesTests
{
    public static TheoryData<string> Recipes
        => [.. Directory.EnumerateFiles(Path.Combine(TrainerProgram.Repository, "configs"), "*.yaml").Select(path => Path.GetFileName(path)!)];

    [Theory]
    [MemberData(nameof(Recipes))]
    public void A_recipe_is_accepted_and_every_key_has_its_comment(string name)
    {
        using var folder = new TemporaryFolder();
        folder.File("d.jsonl", string.Concat(Enumerable.Repeat("{\"text\":\"a banana is yellow and so is a lemon\"}\n", 40)));
        var path = Path.Combine(TrainerProgram.Repository, "configs", name);
        var result = TrainerProgram.RunWarm(new ProgramRun("train", path, "--model", "tiny", "--data", "d.jsonl", "--output", "run",
            "--dry-run") { Directory = folder.Path });
        Assert.True(result.ExitCode == 0, result.Error);
        var lines = File.ReadAllLines(path);
        Assert.StartsWith("#   trainer train configs/" + name, lines[1], StringComparison.Ordinal);
        Assert.Contains(lines, line => line.StartsWith("# Needs: ", StringComparison.Ordinal));
        // Keys of one comment may follow each other, but none stands after an empty line without one.
        for (var i = 1; i < lines.Length; i++)
            Assert.False(lines[i].Length > 0 && char.IsAsciiLetter(lines[i][0]) && lines[i - 1].Length == 0, $"{name}:{i + 1} has no comment");
    }

    [Fact]
    public void Numbers_are_numbers_for_readers_of_yaml_1_1_too()
    {
        using var folder = new TemporaryFolder();
        var run = TrainerProgram.RunWarm("train", "--model", "tiny", "--data", "demo", "--max-steps", "1", "--learning-rate", "3e-6", "--output", folder.Path,
            "--overwrite-output-dir");
        Assert.True(run.ExitCode == 0, run.Error);
        var files = Directory.EnumerateFiles(Path.Combine(TrainerProgram.Repository, "configs"), "*.yaml").Append(Path.Combine(folder.Path, "recipe.yaml"));
        Assert.All(files, file => Assert.DoesNotMatch(@"(?m): *[0-9]+e[-+]?[0-9]", File.ReadAllText(file)));
        Assert.Contains("learning_rate: 3.0e-6", File.ReadAllText(Path.Combine(folder.Path, "recipe.yaml")), StringComparison.Ordinal);
    }
}
