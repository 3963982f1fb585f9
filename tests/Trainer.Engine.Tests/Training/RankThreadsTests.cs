using Trainer.Distributed;
using Trainer.Training.Steps;

namespace Trainer.Engine.Tests.Training;

/// <summary>How many threads a rank takes, and what ranks say of their differences.</summary>
public class RankThreadsTests
{
    [Theory]
    [InlineData(null, 1, 2, 2, null)]
    [InlineData(2, 1, 2, 2, null)]
    [InlineData(3, 1, 2, 2, "--threads 3 is more than the 2 processors")]
    // A quota of two processors on a machine of 64.
    [InlineData(4, 1, 2, 64, "--threads 4 is more than the 2 processors")]
    [InlineData(2, 1, 1, 64, "--threads 2 is more than the 1 processor that")]
    [InlineData(1, 2, 2, 2, null)]
    [InlineData(2, 2, 2, 2, "--threads 2 of 2 ranks on this machine is more than the 2 processors")]
    // Each rank is tied to cores of its own.
    [InlineData(4, 2, 4, 8, null)]
    public void More_threads_than_may_run_at_once_are_told(int? asked, int ranks, int allowed, int online, string? told)
    {
        var said = RankThreads.TooMany(asked, ranks, allowed, online);
        if (told is null) Assert.Null(said);
        else Assert.StartsWith(told, said, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, null, 8, 8, 8, false), InlineData(2, null, 8, 8, 4, false), InlineData(3, null, 8, 8, 2, false), InlineData(4, null, 2, 2, 1, false)]
    // Tied by the launcher: its cores are the rank's own already; one of many is told.
    [InlineData(2, null, 4, 8, 4, false), InlineData(2, null, 1, 8, 1, true), InlineData(1, null, 1, 2, 1, true), InlineData(2, null, 1, 2, 1, false)]
    [InlineData(2, 3, 1, 8, 3, false)]
    public void Threads_are_the_ranks_share_of_the_machine(int localRanks, int? asked, int allowed, int online, int threads, bool isTold)
    {
        var (taken, warning) = RankThreads.Of(localRanks, asked, allowed, online);
        Assert.Equal(threads, taken);
        Assert.Equal(isTold, warning?.Contains("--bind-to none", StringComparison.Ordinal) ?? false);
    }

    [Fact]
    public void The_first_line_that_differs_is_told()
        => Assert.Equal("\"b\": 3 instead of \"b\": 2",
            RankAgreement.FirstDifference("{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}", "{\n  \"a\": 1,\n  \"b\": 3,\n  \"c\": 4\n}"));

    [Fact]
    public void Texts_of_all_ranks_are_collected()
    {
        using var ranks = new SingleProcess();
        Assert.Equal(["über"], ranks.Collect("über"));
        Assert.Equal([""], ranks.Collect(""));
    }
}
