using Trainer.Engine.Native;
using Trainer.Numerics.Products;

namespace Trainer.Engine.Fast;

/// <summary>What a training pass of the fast engine needs in memory, known to the byte before it runs.</summary>
public static class StepMemory
{
    /// <summary>Bytes of all buffers of a pass (frozen weights, parameters, gradients and moments apart); null where the reference engine computes this model.</summary>
    /// <param name="model">A loaded model with its adapter.</param>
    /// <param name="batch">The batch; the longest of a run gives the peak.</param>
    /// <param name="checkpointing">Keep layer inputs only, or all that the backward pass needs.</param>
    public static long? Bytes(CausalModel model, TokenBatch batch, bool checkpointing)
        => model.Options.Engine == EngineKind.Reference || FastCapabilities.Refusal(model) is not null ? null : FastEngine.BytesFor(model, batch, checkpointing);

    /// <summary>Bytes that products on register tiles take whatever the matrix; null where this processor writes panels out for its BLAS instead.</summary>
    /// <param name="tokens">Tokens of a micro-batch.</param>
    /// <param name="threads">Compute threads.</param>
    public static long? TileBytes(long tokens, int threads) => TileProduct.IsFast ? TiledProduct.FloatsFor(tokens, threads) * sizeof(float) : null;

    /// <summary>Rows of a frozen matrix that are written out at a time where products are not made of tiles.</summary>
    /// <param name="rows">Its rows.</param>
    /// <param name="columns">Its columns.</param>
    /// <param name="tokens">Tokens of a micro-batch.</param>
    public static long PanelRows(long rows, long columns, long tokens) => new PanelPlan().Rows(rows, columns, tokens);

    /// <summary>Rows that a narrow product of so many tokens reads and writes.</summary>
    /// <param name="tokens">Tokens of a micro-batch.</param>
    public static long NarrowRows(long tokens) => NarrowGemm.PaddedRows(tokens);

    /// <summary>Whether a pass that recomputes nothing fits: the rule of <c>--gradient-checkpointing auto</c>.</summary>
    /// <param name="model">A loaded model with its adapter.</param>
    /// <param name="longest">The batch with the most tokens.</param>
    /// <param name="freeBytes">Bytes that may be used beyond what is resident now.</param>
    public static bool FitsWithoutCheckpointing(CausalModel model, TokenBatch longest, long freeBytes) => Bytes(model, longest, false) is { } bytes && bytes <= freeBytes;
}
