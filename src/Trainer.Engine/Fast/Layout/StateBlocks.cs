using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Layout;

/// <summary>How a state-space scan cuts a segment into chunks, and the scratch of a thread.</summary>
/// <param name="StateSize">Elements of B and C.</param>
/// <param name="HeadSize">Elements of a value.</param>
/// <param name="Chunks">Chunks of the longest segment.</param>
internal readonly record struct StateBlocks(long StateSize, long HeadSize, long Chunks)
{
    /// <summary>Tokens of a chunk.</summary>
    public const int Chunk = 64;

    private const int Vectors = 6;

    /// <summary>Floats of a state.</summary>
    public long State => StateSize * HeadSize;

    /// <summary>Floats of a chunk's pairs of tokens.</summary>
    public static long Pairs => Chunk * Chunk;

    /// <summary>Floats of a thread: values of a chunk and their gradients, B faded and its gradient, pairs, and a state for each chunk.</summary>
    public long Scratch
        => ThreadScratch.Share((Chunks + 2) * State + 4 * Chunk * HeadSize + 2 * Chunk * StateSize + 4 * Pairs + Vectors * Chunk);

    public static StateBlocks Of(Mamba2 config, long longest) => new(config.StateSize, config.HeadSize, (longest + Chunk - 1) / Chunk);
}
