using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;

namespace Trainer.Engine.Fast.Cpu;

/// <summary>Where the processor's kernels find their scratch.</summary>
/// <param name="Memory">The memory of the pass.</param>
/// <param name="Tokens">Most rows of the activations; panels are cut by it.</param>
/// <param name="Threads">Threads that have scratch.</param>
internal readonly record struct ProductRoom(HostBuffers Memory, long Tokens, int Threads)
{
    /// <summary>How attention is cut into blocks.</summary>
    public AttentionBlocks Attention { get; init; }

    /// <summary>The room of a pass.</summary>
    public static unsafe ProductRoom Of(PassMemory memory) =>
        new(new HostBuffers(memory.Layout, HostMemory.StartOf(memory.Block)), memory.Layout.Tokens,
        memory.Layout.Threads) { Attention = memory.Layout.Attention };

    /// <summary>Room for products outside a pass.</summary>
    /// <param name="arena">Where from.</param>
    /// <param name="buffers">The scratch of the products.</param>
    /// <param name="tokens">Most rows of the activations.</param>
    /// <param name="threads">Compute threads.</param>
    public static unsafe ProductRoom Cut(Arena arena, IEnumerable<PassBuffer> buffers, long tokens, int threads)
    {
        var layout = new PassLayout(buffers, threads);
        return new(new HostBuffers(layout, (byte*)arena.Floats(layout.Bytes / sizeof(float))), tokens, threads);
    }
}
