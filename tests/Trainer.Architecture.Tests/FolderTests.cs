namespace Trainer.Architecture.Tests;

/// <summary>Files of two folders never need each other in a circle.</summary>
public sealed class FolderTests
{
    [Fact]
    public void Files_that_need_each_other_lie_in_one_folder() =>
        Assert.Empty(Repository.Projects("src").SelectMany(static project => new SourceGraph(Path.GetDirectoryName(project)!).CyclesOverFolders()));

    [Fact]
    public void A_circle_of_files_over_two_folders_is_seen()
    {
        var project = Directory.CreateTempSubdirectory("circle-").FullName;
        try
        {
            Directory.CreateDirectory(Path.Combine(project, "Below"));
            File.WriteAllText(Path.Combine(project, "One.cs"), "namespace P; class One { Two _two; }");
            File.WriteAllText(Path.Combine(project, "Below", "Two.cs"), "namespace P.Below; class Two { object Make() => new Three(); }");
            File.WriteAllText(Path.Combine(project, "Three.cs"), "namespace P; class Three : One;");
            Assert.EndsWith("Below/Two.cs, One.cs, Three.cs", Assert.Single(new SourceGraph(project).CyclesOverFolders()));
            File.WriteAllText(Path.Combine(project, "Below", "Two.cs"), "namespace P.Below; class Two { int Three => 3; }");
            Assert.Empty(new SourceGraph(project).CyclesOverFolders());
        }
        finally
        {
            Directory.Delete(project, recursive: true);
        }
    }
}
