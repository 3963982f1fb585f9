namespace Trainer.Architecture.Tests;

/// <summary>Folders mean something: they are the namespaces, and files of two folders never need each other in a circle.</summary>
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

    [Fact]
    public void One_short_statement_stands_without_braces()
        => Assert.Empty(Repository.Sources("src").Concat(Repository.Sources("tests"))
            .SelectMany(path => LoneStatements.Find(File.ReadAllText(path)).Select(line => $"{Repository.Relative(path)}:{line}")));

    [Fact]
    public void Lines_end_at_column_160_but_for_strings_that_cannot_be_cut()
    {
        var faults = Repository.Sources("src").Concat(Repository.Sources("tests"))
            .SelectMany(static path => LongLines.In(File.ReadAllText(path)).Select(line => $"{Repository.Relative(path)}:{line}"));
        Assert.Empty(faults);
    }

    [Fact]
    public void A_long_line_is_excused_by_a_raw_or_verbatim_string_alone()
    {
        var wide = new string('a', LongLines.Widest);
        Assert.Equal([2], LongLines.In($"class A\n{{ /* {wide} */ }}\n"));
        Assert.Equal([2], LongLines.In($"class A {{ string B =\n\"{wide}\"; }}\n"));
        Assert.Empty(LongLines.In($"class A {{ string B =\n@\"{wide}\"; }}\n"));
        Assert.Empty(LongLines.In($"class A {{ string B = \"\"\"\n{wide}\n\"\"\"; }}\n"));
    }

    [Fact]
    public void Namespaces_follow_folders()
    {
        var faults = new List<string>();
        foreach (var project in Repository.Projects("src").Concat(Repository.Projects("tests")))
        {
            var (folder, name) = (Path.GetDirectoryName(project)!, Path.GetFileNameWithoutExtension(project));
            foreach (var source in Repository.Sources(Path.GetRelativePath(Repository.Root, folder)))
            {
                var below = Path.GetRelativePath(folder, Path.GetDirectoryName(source)!);
                var expected = below == "." ? name : $"{name}.{below.Replace(Path.DirectorySeparatorChar, '.')}";
                if (File.ReadLines(source).FirstOrDefault(static line => line.StartsWith("namespace ", StringComparison.Ordinal)) is { } line
                    && line.TrimEnd(' ', ';', '{') != $"namespace {expected}")
                    faults.Add($"{Repository.Relative(source)}: '{line}' in the folder of {expected}");
            }
        }
        Assert.Empty(faults);
    }
}
