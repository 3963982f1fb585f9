namespace Trainer.Architecture.Tests;

public sealed class FloorTests
{
    [Fact]
    public void Every_project_below_src_has_its_place_in_the_table()
        => Assert.Equal(House.Rooms.Keys.Order(StringComparer.Ordinal),
            Repository.Projects("src").Select(Path.GetFileNameWithoutExtension).Order(StringComparer.Ordinal));

    [Fact]
    public void The_table_itself_references_downwards_only()
    {
        foreach (var (name, room) in House.Rooms)
            foreach (var below in room.Projects)
                Assert.True(House.Rooms[below].Floor < room.Floor, $"{name} (floor {room.Floor}) may not reference {below} (floor {House.Rooms[below].Floor})");
    }

    [Fact]
    public void A_project_references_only_what_its_place_allows()
    {
        var faults = new List<string>();
        foreach (var project in Repository.Projects("src"))
        {
            var room = House.Rooms[Path.GetFileNameWithoutExtension(project)];
            faults.AddRange(Repository.ProjectReferences(project).Except(room.Projects).Select(name => $"{Repository.Relative(project)} references {name}"));
            faults.AddRange(Repository.PackageReferences(project).Except(room.Packages)
                .Select(name => $"{Repository.Relative(project)} takes the package {name}"));
        }
        Assert.Empty(faults);
    }

    [Fact]
    public void No_project_names_a_package_version_of_its_own()
    {
        var faults = Repository.Projects("src").Concat(Repository.Projects("tests"))
            .Where(static project => File.ReadAllText(project).Contains("Version=", StringComparison.Ordinal))
            .Select(Repository.Relative);
        Assert.Empty(faults);
    }

    [Fact]
    public void Every_project_has_a_page_that_says_what_it_is_for()
    {
        var faults = Repository.Projects("src")
            .Where(static project => !File.Exists(Path.Combine(Path.GetDirectoryName(project)!, "README.md")))
            .Select(Repository.Relative);
        Assert.Empty(faults);
    }
}
