using Trainer.Distributed;
using Trainer.Training;

namespace Trainer.Engine.Tests.Training;

/// <summary>How many threads a rank takes, and what ranks say of their differences.</summary>
public class RankThreadsTests
{
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
        => Assert.Equal("\"b\": 3 instead of \"b\": 2", RankAgreement.FirstDifference("{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}", "{\n  \"a\": 1,\n  \"b\": 3,\n  \"c\": 4\n}"));

    [Fact]
    public void Texts_of_all_ranks_are_collected()
    {
        using var ranks = new SingleProcess();
        Assert.Equal(["über"], ranks.Collect("über"));
        Assert.Equal([""], ranks.Collect(""));
    }
}
