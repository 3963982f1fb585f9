using Trainer.Distributed;
using Trainer.Distributed.Mpi;

namespace Trainer.Ground.Tests.Distributed;

public sealed class LauncherTests
{
    [Theory]
    [InlineData("OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=4", 1, 4)]
    [InlineData("PMI_RANK=0 PMI_SIZE=2", 0, 2)]
    [InlineData("SLURM_PROCID=3 SLURM_NTASKS=8 PMIX_RANK=3", 3, 8)]
    public void A_launcher_is_known_by_what_it_leaves_in_the_environment(string environment, int rank, int size)
    {
        var launcher = Launcher.Find(Reader(environment));
        Assert.Equal((rank, size), (launcher!.Rank, launcher.Size));
    }

    [Theory]
    [InlineData("")]
    [InlineData("OMPI_COMM_WORLD_RANK=1")]
    [InlineData("PMI_RANK=x PMI_SIZE=2")]
    // A batch script of Slurm that starts no MPI job has these as well.
    [InlineData("SLURM_PROCID=0 SLURM_NTASKS=8")]
    [InlineData("SLURM_PROCID=0 SLURM_NTASKS=8 SLURM_MPI_TYPE=none")]
    public void No_launcher_is_seen_where_there_is_none(string environment) => Assert.Null(Launcher.Find(Reader(environment)));

    [Fact]
    public void One_process_agrees_with_itself()
    {
        using var ranks = new SingleProcess();
        var all = new byte[3];
        ranks.Gather([1, 2, 3], all);
        Assert.Equal([1, 2, 3], all);
        Assert.Equal("text", ranks.Share("text"));
        Assert.Null(ranks.FindDifference("anything"));
        Assert.IsType<SingleProcess>(Ranks.Join(DistributedMode.Off, _ => { }));
    }

    [SkippableFact]
    public void A_process_is_known_by_its_number_and_its_start_together()
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "the system tells no start of a process in /proc");
        var mine = LocalPeers.Started(Environment.ProcessId);
        Assert.NotNull(mine);
        Assert.Equal(mine, LocalPeers.Started(Environment.ProcessId));
        Assert.NotEqual(mine, LocalPeers.Started(1));
        Assert.Null(LocalPeers.Started(int.MaxValue));
    }

    private static Func<string, string?> Reader(string environment)
    {
        var pairs = environment.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(pair => pair.Split('=')).ToDictionary(pair => pair[0],
            pair => pair[1]);
        return name => pairs.GetValueOrDefault(name);
    }
}
