using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Layout;

/// <summary>How the gated delta rule cuts a segment into chunks, and the scratch of a thread.</summary>
/// <param name="KeySize">Elements of a key.</param>
/// <param name="ValueSize">Elements of a value.</param>
/// <param name="Chunks">Chunks of the longest segment.</param>
internal readonly record struct DeltaBlocks(long KeySize, long ValueSize, long Chunks)
{
    /// <summary>Tokens of a chunk.</summary>
    public const int Chunk = 64;

    private const int Vectors = 9;

    /// <summary>Floats of a state.</summary>
    public long State => KeySize * ValueSize;

    /// <summary>Floats of a chunk's pairs of tokens.</summary>
    public static long Pairs => Chunk * Chunk;

    /// <summary>Floats of a thread: keys, queries, values of a chunk and their gradients, pairs, and a state for each chunk.</summary>
    public long Scratch
        => ThreadScratch.Share((Chunks + 2) * State + 6 * Chunk * KeySize + 6 * Chunk * ValueSize + 6 * Pairs + Vectors * Chunk);

    public static DeltaBlocks Of(GatedDelta config, long longest) => new(config.KeySize, config.ValueSize, (longest + Chunk - 1) / Chunk);
}
