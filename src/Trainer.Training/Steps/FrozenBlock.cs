using Trainer.Engine;
using Trainer.Numerics.Spans;

namespace Trainer.Training.Steps;

/// <summary>Elements of the flat buffers that are computed with and never changed: rows of equal width at equal distances.</summary>
/// <param name="Begin">First element.</param>
/// <param name="Width">Elements of a row.</param>
/// <param name="Stride">From one row's first element to the next one's.</param>
/// <param name="Rows">Rows.</param>
internal readonly record struct FrozenBlock(long Begin, long Width, long Stride, long Rows)
{
    /// <summary>What a run leaves as it was: A with --freeze-a, and the halves that take an adapter's beginning off again.</summary>
    /// <param name="freezeA">Whether A stays.</param>
    /// <param name="isDoubled">Whether the adapter has such halves.</param>
    /// <param name="tensors">What is trained.</param>
    public static IReadOnlyList<FrozenBlock> Of(bool freezeA, bool isDoubled, IReadOnlyList<ParameterEntry> tensors)
    {
        var blocks = new List<FrozenBlock>();
        foreach (var tensor in tensors)
        {
            var (begin, count) = (tensor.Offset, tensor.Count);
            if (tensor.Name.Contains(".lora_A.", StringComparison.Ordinal))
            {
                if (freezeA) blocks.Add(new FrozenBlock(begin, count, count, 1));
                else if (isDoubled) blocks.Add(new FrozenBlock(begin + count / 2, count / 2, count, 1));
            }
            else if (isDoubled && tensor.Name.EndsWith(".lora_B.weight", StringComparison.Ordinal))
            {
                var rank = tensor.Shape[1];
                blocks.Add(new FrozenBlock(begin + rank / 2, rank / 2, rank, tensor.Shape[0]));
            }
        }
        return blocks;
    }

    /// <summary>Sets the elements to 0.</summary>
    public void Clear(LongSpan<float> buffer)
    {
        for (long row = 0; row < Rows; row++) buffer.Slice(Begin + row * Stride, Width).Clear();
    }

    /// <summary>Copies the elements from one buffer into another laid out alike.</summary>
    public void Copy(ReadOnlyLongSpan<float> from, LongSpan<float> to)
    {
        for (long row = 0; row < Rows; row++) from.Slice(Begin + row * Stride, Width).CopyTo(to.Slice(Begin + row * Stride, Width));
    }
}
