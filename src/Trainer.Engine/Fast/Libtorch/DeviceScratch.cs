using Trainer.Engine.Fast.Cpu;
using Trainer.Engine.Passes;
using Trainer.Engine.Weights;
using Trainer.Models.Config;
using Trainer.Models.Drawing;
using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Libtorch;

/// <summary>A bound of what libtorch's operations hold on a device for a moment, beside what is kept there: they allocate their results themselves.</summary>
public static class DeviceScratch
{
    // Of the look-up table, and of the tables of absmax values.
    private const long Small = 1 << 16;

    // For each element of a 4-bit matrix that is decoded: half an index of 4 bytes, half a pair of 8, absmax values; then it is rounded.
    private const long DecodedBytes = 7;
    private const long RoundedBytes = 2;

    /// <summary>Bytes at most.</summary>
    /// <param name="decoder">The model.</param>
    /// <param name="batch">The largest batch.</param>
    /// <param name="isNarrow">Whether frozen products are in bfloat16.</param>
    /// <param name="form">How the layers' matrices are held.</param>
    /// <param name="storedForm">How the head is.</param>
    /// <param name="lossRows">Rows of logits at a time.</param>
    public static long Bytes(DecoderBlueprint decoder, BatchShape batch, bool isNarrow, WeightForm form, WeightForm storedForm, long lossRows)
    {
        ArgumentNullException.ThrowIfNull(decoder);
        ArgumentNullException.ThrowIfNull(batch);
        var config = decoder.Config;
        long Product(long rows, long columns, WeightForm held, bool narrow, long tokens)
        {
            var part = PanelPlan.RowsOf(rows, columns, tokens, TorchKernels.PartElements);
            var written = part * columns * (held == WeightForm.Nf4 ? DecodedBytes + (narrow ? RoundedBytes : 0) : sizeof(float) + sizeof(float));
            // A narrow product rounds its operand, and widens its result.
            return written + (narrow ? tokens * (2 * columns + 6 * part) : 0);
        }
        long[] bounds =
        [
            decoder.Linears.Max(module => Product(module.Rows, module.Columns, form, isNarrow, batch.Tokens)),
            Product(decoder.Head.Rows, decoder.Head.Columns, storedForm, false, batch.Tokens),
            // Queries, keys and values once for each query head, the output, and the gradients of all.
            10L * sizeof(float) * batch.Tokens * config.Heads * config.HeadSize,
            // Scores and their gradients where a kernel of one piece does not serve.
            HasScores(config, batch) ? 4L * sizeof(float) * config.Heads * batch.Longest * (batch.Longest + batch.Past) : 0,
            5L * sizeof(float) * batch.Tokens * decoder.Linears.Max(module => module.Rows),
            4L * sizeof(float) * lossRows * config.VocabularySize,
        ];
        return bounds.Max() + Small;
    }

    // See TorchKernels.Fuses.
    private static bool HasScores(ModelConfig config, BatchShape batch) => config.AttentionSoftCap is not null || batch.Past > 0
        || config.Layers.Any(layer => layer.Mixer is SelfAttention { HasSinks: true } || (layer.Mixer is SelfAttention { Window: { } window }
            && window < batch.Longest));
}
