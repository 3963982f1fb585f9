using Trainer.Ground.Tests.Checkpoints;
using Trainer.Numerics.Machine;

namespace Trainer.Ground.Tests.Numerics;

/// <summary>Cores, siblings and memory nodes, read from trees of files as the kernel shows them.</summary>
public class ProcessorTopologyTests
{
    [Fact]
    public void Siblings_that_affinity_leaves_are_one_core_and_nodes_are_told_with_what_is_near()
    {
        using var temp = new TempFolder();
        // Two sockets of four cores with two siblings each; the process may use the first three cores of each, of one of them a single sibling.
        Machine(temp, "0-2,4-6,8-9,12-14", "0-1");
        var topology = ProcessorTopology.Read(temp.Path)!;
        Assert.Equal((11, 6), (topology.Processors, topology.Cores));
        Assert.Equal([new MemoryNode(0, 5, 64L << 30), new MemoryNode(1, 6, 32L << 30)], topology.Nodes);
    }

    [Fact]
    public void A_process_tied_to_one_node_has_that_alone()
    {
        using var temp = new TempFolder();
        Machine(temp, "4-7,12-15", "1");
        var topology = ProcessorTopology.Read(temp.Path)!;
        Assert.Equal((8, 4), (topology.Processors, topology.Cores));
        Assert.Equal([new MemoryNode(1, 8, 32L << 30)], topology.Nodes);
    }

    [Fact]
    public void What_is_hidden_counts_as_cores_of_their_own_without_nodes()
    {
        using var temp = new TempFolder();
        Assert.Null(ProcessorTopology.Read(temp.Path));
        temp.Write("proc/self/status", "Name:\ttrainer\nCpus_allowed_list:\t0-3,8\n");
        var topology = ProcessorTopology.Read(temp.Path)!;
        Assert.Equal((5, 5, 0), (topology.Processors, topology.Cores, topology.Nodes.Count));
        temp.Write("proc/self/status", "Cpus_allowed_list:\tall of them\n");
        Assert.Null(ProcessorTopology.Read(temp.Path));
    }

    [Theory]
    [InlineData("0", new[] { 0 })]
    [InlineData("0-3,8", new[] { 0, 1, 2, 3, 8 })]
    [InlineData("", new int[0])]
    [InlineData("3-1", null)]
    [InlineData("0-99999999", null)]
    [InlineData("a", null)]
    [InlineData("1-2-3", null)]
    public void Lists_are_read_as_the_kernel_writes_them(string text, int[]? expected) => Assert.Equal(expected, ProcessorTopology.Numbers(text));

    [Theory]
    [InlineData(8, 4, null, 4)]
    [InlineData(8, 8, null, 8)]
    [InlineData(2, 4, null, 2)]
    [InlineData(8, null, null, 8)]
    [InlineData(8, 4, "8", 8)]
    [InlineData(8, 4, "16", 8)]
    [InlineData(8, 4, "2,1", 2)]
    [InlineData(8, 4, "0", 4)]
    [InlineData(8, 4, "many", 4)]
    public void One_thread_a_core_computes_unless_the_environment_names_a_number(int processors, int? cores, string? wanted, int expected)
        => Assert.Equal(expected, MachineLimits.ComputeThreadsOf(processors, cores, wanted));

    [Fact]
    public void This_machine_has_no_more_cores_than_processors()
    {
        if (ProcessorTopology.Here is not { } here) return;
        Assert.InRange(here.Cores, 1, here.Processors);
        Assert.InRange(MachineLimits.ComputeThreads, 1, MachineLimits.Processors);
    }

    private static void Machine(TempFolder temp, string processors, string memory)
    {
        temp.Write("proc/self/status", $"Name:\ttrainer\nCpus_allowed:\tffff\nCpus_allowed_list:\t{processors}\nMems_allowed_list:\t{memory}\n");
        for (var cpu = 0; cpu < 16; cpu++) temp.Write($"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list", $"{cpu % 8},{cpu % 8 + 8}\n");
        temp.Write("sys/devices/system/node/has_memory", "0-1\n");
        temp.Write("sys/devices/system/node/node0/cpulist", "0-3,8-11\n");
        temp.Write("sys/devices/system/node/node0/meminfo", "Node 0 MemFree:  1 kB\nNode 0 MemTotal:       67108864 kB\n");
        temp.Write("sys/devices/system/node/node1/cpulist", "4-7,12-15\n");
        temp.Write("sys/devices/system/node/node1/meminfo", "Node 1 MemTotal:       33554432 kB\n");
    }
}
