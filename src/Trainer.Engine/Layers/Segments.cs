using Trainer.Engine.Generation;
using Trainer.Engine.Reference;
using static TorchSharp.torch;

namespace Trainer.Engine.Layers;

/// <summary>Runs what goes from token to token over each segment by itself: neighbouring segments of equal length as one batch.</summary>
internal static class Segments
{
    /// <summary>Applies a function to [count, length, ...] views of tensors [T, ...]; its results [count, length, width] come back as [T, width]. With what is
    /// kept of earlier tokens, each segment comes alone.</summary>
    /// <param name="context">The batch.</param>
    /// <param name="inputs">Tensors [T, ...].</param>
    /// <param name="apply">The function.</param>
    public static Tensor Apply(BatchContext context, Tensor[] inputs, Func<Tensor[], KvCache?, Tensor> apply)
    {
        var parts = new List<Tensor>(context.Runs.Count);
        if (context.Caches is { } caches)
            for (var s = 0; s < caches.Length; s++)
                Add(context.Batch.SegmentStarts[s], 1, context.Batch.SegmentStarts[s + 1] - context.Batch.SegmentStarts[s], caches[s]);
        else
            foreach (var (start, count, length) in context.Runs) Add(start, count, length, null);
        return parts.Count == 1 ? parts[0] : cat(parts, 0);

        void Add(int start, int count, int length, KvCache? cache)
        {
            var result = apply([.. inputs.Select(input => input.narrow(0, start, (long)count * length).view([count, length, .. input.shape[1..]]))], cache);
            parts.Add(result.reshape((long)count * length, -1));
        }
    }
}
