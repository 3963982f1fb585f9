using System.Text.Json;
using Trainer.Training.State;

namespace Trainer.Engine.Tests.Training;

/// <summary>Data is the same by contents, roles and order, wherever it lies.</summary>
public class DataDriftTests
{
    private static readonly RunDataFile A = new(RunDataFile.Train, "p1/first", "aa"), B = new(RunDataFile.Train, "p2/second", "bb"),
        Held = new(RunDataFile.HeldOut, "h", "cc");

    [Fact]
    public void Moved_and_renamed_files_are_the_same_data() =>
        Assert.Null(DataDrift.Between([A, B, Held], [A with { Path = "q2/first" }, B with { Path = "q1/second" }, Held with { Path = "x" }]));

    [Fact]
    public void Another_order_is_other_data() =>
        Assert.Equal("the data files come in another order ('second', 'first' instead of 'first', 'second')", DataDrift.Between([A, B], [B, A]));

    [Fact]
    public void Training_and_held_out_files_exchanged_are_other_data() =>
        Assert.Contains("other roles (trained on: 'h' instead of 'first')",
        DataDrift.Between([A, Held], [Held with { Role = RunDataFile.Train }, A with { Role = RunDataFile.HeldOut }]), StringComparison.Ordinal);

    [Fact]
    public void Changed_new_lost_and_repeated_files_are_named()
    {
        Assert.Equal("the data's file 'p2/second' has changed", DataDrift.Between([A, B], [A, B with { Sha256 = "dd" }]));
        Assert.Equal("the data has a new file 'p2/second'", DataDrift.Between([A], [A, B]));
        Assert.Equal("the data has lost its file 'p2/second'", DataDrift.Between([A, B], [A]));
        Assert.Equal("the data reads 'p1/first' more often", DataDrift.Between([A], [A, A]));
        Assert.Equal("the data's file 'z' is none of those it had ('first')", DataDrift.Between([A], [A with { Path = "z", Sha256 = "dd" }]));
    }

    [Fact]
    public void The_record_of_an_older_version_is_compared_by_contents()
    {
        var old = JsonSerializer.Deserialize<Fingerprint>("""{"base":{},"tokenizer":{},"template":{},"data":{"p1/first":"aa","p2/second":"bb"},"adapter":{}}""",
            RunJson.Options)!;
        Assert.Null(DataDrift.Between(old.Data, [B, A]));
        Assert.Contains("has changed", DataDrift.Between(old.Data, [A, B with { Sha256 = "dd" }]), StringComparison.Ordinal);
        var written = JsonSerializer.Deserialize<Fingerprint>(JsonSerializer.Serialize(old with { Data = [A, Held] }, RunJson.Options), RunJson.Options)!;
        Assert.Equal([A, Held], written.Data);
    }
}
