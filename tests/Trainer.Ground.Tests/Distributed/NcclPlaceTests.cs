using Trainer.Distributed;
using Trainer.Distributed.Nccl;

namespace Trainer.Ground.Tests.Distributed;

public sealed class NcclPlaceTests
{
    [Theory]
    [InlineData("RANK=3 WORLD_SIZE=8 LOCAL_RANK=1 MASTER_ADDR=a MASTER_PORT=1234", 3, 8, 1, "a", 1234)]
    [InlineData("RANK=0 WORLD_SIZE=2 MASTER_ADDR=a", 0, 2, 0, "a", 29500)]
    // torchrun listens on its port itself.
    [InlineData("RANK=0 WORLD_SIZE=2 MASTER_ADDR=a MASTER_PORT=29400 TORCHELASTIC_USE_AGENT_STORE=True", 0, 2, 0, "a", 29401)]
    [InlineData("RANK=0 WORLD_SIZE=2 MASTER_ADDR=a MASTER_PORT=29400 TORCHELASTIC_USE_AGENT_STORE=False", 0, 2, 0, "a", 29400)]
    [InlineData("SLURM_PROCID=5 SLURM_NTASKS=8 SLURM_LOCALID=1 SLURM_JOB_ID=40123 SLURM_STEP_NODELIST=gpu[03-06]", 5, 8, 1, "gpu03", 20123)]
    [InlineData("SLURM_PROCID=5 SLURM_NTASKS=8 SLURM_LOCALID=1 MASTER_ADDR=head MASTER_PORT=7000 SLURM_STEP_NODELIST=gpu[03-06]", 5, 8, 1, "head", 7000)]
    // torchrun inside a Slurm job numbers the processes.
    [InlineData("RANK=1 WORLD_SIZE=2 LOCAL_RANK=1 MASTER_ADDR=a SLURM_PROCID=0 SLURM_NTASKS=1", 1, 2, 1, "a", 29500)]
    public void A_process_finds_its_place_in_what_the_launcher_left(string environment, int rank, int size, int local, string address, int port)
    {
        var place = NcclPlace.Find(Reader(environment))!;
        Assert.Equal((rank, size, local, address, port), (place.Rank, place.Size, place.LocalRank, place.Address, place.Port));
    }

    [Theory]
    [InlineData("RANK=2 WORLD_SIZE=2 MASTER_ADDR=a", "rank 2 of 2")]
    [InlineData("RANK=0 WORLD_SIZE=2", "MASTER_ADDR is not")]
    [InlineData("RANK=0 WORLD_SIZE=2 MASTER_ADDR=a MASTER_PORT=70000", "port 70000")]
    [InlineData("SLURM_PROCID=0 SLURM_NTASKS=2", "set MASTER_ADDR")]
    public void What_says_too_little_is_refused_by_name(string environment, string reason)
        => Assert.Contains(reason, Assert.Throws<MissingLibraryException>(() => NcclPlace.Find(Reader(environment))).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("", false)]
    [InlineData("RANK=0 WORLD_SIZE=1 MASTER_ADDR=a", false)]
    [InlineData("RANK=0 WORLD_SIZE=2", false)]
    [InlineData("RANK=0 WORLD_SIZE=2 MASTER_ADDR=a", true)]
    public void Only_a_launcher_of_several_is_followed_unasked(string environment, bool isTorchrun)
    => Assert.Equal(isTorchrun, NcclPlace.IsTorchrun(Reader(environment)));

    [Theory]
    [InlineData("a", "a")]
    [InlineData("a,b", "a")]
    [InlineData("n[1-4]", "n1")]
    [InlineData("n[007,9],m1", "n007")]
    [InlineData("rack2-n[07-09]-ib,m", "rack2-n07-ib")]
    [InlineData("m,n[1-4]", "m")]
    public void The_first_machine_of_a_list_of_Slurm_is_read(string list, string first) => Assert.Equal(first, NcclPlace.FirstNode(list));

    private static Func<string, string?> Reader(string environment)
    {
        var pairs = environment.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(pair => pair.Split('=')).ToDictionary(pair => pair[0],
            pair => pair[1]);
        return name => pairs.GetValueOrDefault(name);
    }
}
