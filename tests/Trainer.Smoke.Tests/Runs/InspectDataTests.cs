namespace Trainer.Smoke.Tests.Runs;

[Trait("ring", "smoke")]
public sealed class InspectDataTests
{
    [Fact]
    public void A_data_file_s_rows_and_columns_are_told()
    {
        var file = Path.Combine(TrainerProgram.Repository, "tests", "fixtures", "data", "million.parquet");
        var facts = TrainerProgram.RunWarm("inspect", file, "--json").Json();
        Assert.Equal(("data", "parquet", 1_000_000),
            (facts.GetProperty("kind").GetString(), facts.GetProperty("format").GetString(), facts.GetProperty("rows").GetInt32()));
        Assert.Equal("[{\"name\":\"text\",\"type\":\"string\"},{\"name\":\"id\",\"type\":\"int32\"}]",
            System.Text.Json.JsonSerializer.Serialize(facts.GetProperty("columns")));
        using var folder = new TemporaryFolder();
        Assert.Contains("text  string  1", TrainerProgram.RunWarm("inspect", folder.File("a.json", "[{\"text\": \"x\"}, {}]")).Output,
            StringComparison.Ordinal);
        Assert.Contains("is no file that is known by its name", Assert.Single(TrainerProgram.RunWarm("inspect", folder.File("a.xyz", "x")).Faults(65)),
            StringComparison.Ordinal);
    }
}
