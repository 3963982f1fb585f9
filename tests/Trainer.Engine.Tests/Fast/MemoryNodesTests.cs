using System.Globalization;
using Trainer.Engine.Weights;
using Trainer.Numerics.Machine;

namespace Trainer.Engine.Tests.Fast;

[Trait("ring", "model")]
public sealed unsafe class MemoryNodesTests
{
    [Fact]
    public void Blocks_are_dealt_out_to_the_nodes_beside_the_processors()
    {
        static ProcessorTopology Of(params MemoryNode[] nodes) => new(8, 8, nodes);
        Assert.Equal([0b1010UL], MemoryNodes.MaskOf(Of(new(1, 4, 0), new(2, 0, 0), new(3, 4, 0))));
        Assert.Equal([1UL, 0b10UL], MemoryNodes.MaskOf(Of(new(0, 4, 0), new(65, 4, 0))));
        Assert.Empty(MemoryNodes.MaskOf(Of(new MemoryNode(0, 8, 0))));
        Assert.Empty(MemoryNodes.MaskOf(Of(new(0, 8, 0), new(1, 0, 0))));
        Assert.Empty(MemoryNodes.MaskOf(null));
    }

    // The kernel's own account of the mapping says how its pages are dealt out.
    [Fact]
    public void The_system_takes_it_and_the_memory_is_as_any_other()
    {
        if (!OperatingSystem.IsLinux() || !File.Exists("/proc/self/numa_maps")) return;
        const long bytes = 64 << 20;
        using var block = new NativeBlock(bytes);
        if (!MemoryNodes.Spread(block.Start, bytes, [1])) return; // a sandbox may forbid it
        new Span<byte>(block.Start, (int)bytes).Fill(7);
        var begin = ((long)block.Start + 4095) / 4096 * 4096;
        Assert.Contains(File.ReadLines("/proc/self/numa_maps"),
            line => long.Parse(line.Split(' ')[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture) == begin
                && line.Contains("interleave", StringComparison.Ordinal));
        Assert.False(new Span<byte>(block.Start, (int)bytes).ContainsAnyExcept((byte)7));
        Assert.False(MemoryNodes.Spread(block.Start, 10, [1]));
    }
}
