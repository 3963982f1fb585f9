using static TorchSharp.torch;

namespace Trainer.Engine;

/// <summary>Runs what goes from token to token over each segment by itself: neighbouring segments of equal length as one batch.</summary>
internal static class Segments
{
    /// <summary>Applies a function to [count, length, ...] views of tensors [T, ...]; its results [count, length, width] come back as [T, width].</summary>
    /// <param name="context">The batch.</param>
    /// <param name="inputs">Tensors [T, ...].</param>
    /// <param name="apply">The function.</param>
    public static Tensor Apply(BatchContext context, Tensor[] inputs, Func<Tensor[], Tensor> apply)
    {
        var parts = new List<Tensor>(context.Runs.Count);
        foreach (var (start, count, length) in context.Runs)
        {
            var result = apply([.. inputs.Select(input => input.narrow(0, start, (long)count * length).view([count, length, .. input.shape[1..]]))]);
            parts.Add(result.reshape((long)count * length, -1));
        }
        return parts.Count == 1 ? parts[0] : cat(parts, 0);
    }
}
