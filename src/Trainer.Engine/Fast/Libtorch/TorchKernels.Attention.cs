using TorchSharp;
using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using static TorchSharp.torch;

namespace Trainer.Engine.Fast.Libtorch;

// Segments that are causal and nothing else run in libtorch's fused kernel of the device. Capped scores, sinks and windows shorter than their segment run in
// blocks of queries, as the processor's: no mask is larger than a block of scores. There heads that share keys are rows of one product.
internal sealed partial class TorchKernels
{
    public void Attention(PassMemory room, int[] starts, LayerAttention layer)
    {
        for (var s = 0; s + 1 < starts.Length; s++)
        {
            if (Fuses(layer, starts[s + 1] - starts[s])) FusedForward(layer, starts[s], starts[s + 1] - starts[s]);
            else Attend(room.Layout.Attention, layer, layer.Key, layer.Value, layer.Shape.KvStride, starts[s], starts[s + 1], starts[^1], 0);
        }
    }

    public void ContinueAttention(PassMemory room, int[] starts, LayerAttention layer, HeldTokens[] texts)
    {
        var shape = layer.Shape;
        for (var s = 0; s < texts.Length; s++)
        {
            var own = layer with
            {
                Query = layer.Query + starts[s] * (long)shape.QueryStride,
                Attended = layer.Attended + starts[s] * (long)shape.Query,
                LogSums = layer.LogSums + starts[s],
            };
            Attend(room.Layout.Attention, own, texts[s].Keys, texts[s].Values, shape.Kv, 0, starts[s + 1] - starts[s], starts[^1], texts[s].Count);
        }
    }

    public void AttentionBackward(PassMemory room, int[] starts, LayerAttention layer, Place gradient, Place dq, Place dk, Place dv)
    {
        var shape = layer.Shape;
        using (NewDisposeScope())
        {
            Rows(dk, starts[^1], shape.Kv, shape.KvStride).zero_();
            Rows(dv, starts[^1], shape.Kv, shape.KvStride).zero_();
        }
        for (var s = 0; s + 1 < starts.Length; s++)
        {
            if (Fuses(layer, starts[s + 1] - starts[s]))
            {
                FusedBackward(layer, gradient, dq, dk, dv, starts[s], starts[s + 1] - starts[s]);
                continue;
            }
            foreach (var (q, count, k, keys) in room.Layout.Attention.Cut(starts[s], starts[s], starts[s + 1], layer.Window))
            {
                using var scope = NewDisposeScope();
                var (row, shared) = (q * (long)shape.QueryStride, k * (long)shape.KvStride);
                Tensor Shared(Place place) => Heads(place + shared, keys, shape.KvHeads, shape.KvStride, shape.HeadSize);
                var (query, key, value) = (Grouped(shape, layer.Query + row, count, shape.QueryStride), Shared(layer.Key), Shared(layer.Value));
                var flat = q * (long)shape.Query;
                var (output, upper) = (Grouped(shape, layer.Attended + flat, count, shape.Query), Grouped(shape, gradient + flat, count, shape.Query));
                var (scores, slopes) = Scores(shape, query, key, count, q - k, layer.Window);
                var weights = (scores - LogSums(layer, q, count, starts[^1]).unsqueeze(2)).exp();
                var delta = (upper * output).sum([2], keepdim: true);
                var down = weights * (upper.bmm(value.transpose(1, 2)) - delta) * shape.Scale;
                if (slopes is not null) down *= slopes;
                Shared(dv).add_(weights.transpose(1, 2).bmm(upper));
                Shared(dk).add_(down.transpose(1, 2).bmm(query));
                Split(shape, dq + row, count, shape.QueryStride).copy_(down.bmm(key).view(shape.KvHeads, shape.Group, count, shape.HeadSize));
            }
        }
    }

    // Queries [start, end) of T, behind as many held keys.
    private void Attend(AttentionBlocks blocks, LayerAttention layer, Place keys, Place values, long stride, int start, int end, long tokens, int held)
    {
        var shape = layer.Shape;
        foreach (var (q, count, k, seen) in blocks.Cut(start, start + held, end + held, layer.Window))
        {
            using var scope = NewDisposeScope();
            var first = q - held;
            Tensor Shared(Place place) => Heads(place + k * stride, seen, shape.KvHeads, stride, shape.HeadSize);
            var (key, value) = (Shared(keys), Shared(values));
            var query = Grouped(shape, layer.Query + first * (long)shape.QueryStride, count, shape.QueryStride);
            var scores = Scores(shape, query, key, count, q - k, layer.Window).Scores;
            var sums = scores.logsumexp(2, keepdim: true);
            if (!layer.Sinks.IsNone)
                sums = sums.logaddexp(TensorMemory.View(layer.Sinks, [shape.KvHeads, shape.Group, 1], [shape.Group, 1, 1])
                    .expand(shape.KvHeads, shape.Group, count).reshape(shape.KvHeads, shape.Group * count, 1));
            LogSums(layer, first, count, tokens, sums.squeeze(2));
            var output = (scores - sums).exp().bmm(value);
            Split(shape, layer.Attended + first * (long)shape.Query, count, shape.Query).copy_(output.view(shape.KvHeads, shape.Group, count, shape.HeadSize));
        }
    }

    // (key heads, group x count, keys); the first query of the block is at column `ahead`. Slopes are those of the soft cap.
    private (Tensor Scores, Tensor? Slopes) Scores(HeadShape shape, Tensor query, Tensor key, int count, int ahead, int? window)
    {
        var scores = query.bmm(key.transpose(1, 2)) * shape.Scale;
        Tensor? slopes = null;
        if (shape.ScoreCap is { } cap)
        {
            scores = (scores / cap).tanh();
            slopes = 1 - scores.square();
            scores *= cap;
        }
        var (rows, columns) = (arange(count, device: _device).unsqueeze(1) + ahead, arange(key.shape[1], device: _device).unsqueeze(0));
        var hidden = columns.gt(rows);
        if (window is { } width) hidden = hidden.logical_or(columns.le(rows - width));
        return (scores.masked_fill(hidden.repeat(shape.Group, 1), float.NegativeInfinity), slopes);
    }

    private static Tensor Split(HeadShape shape, Place place, long count, long stride)
        => TensorMemory.View(place, [shape.KvHeads, shape.Group, count, shape.HeadSize], [shape.Group * shape.HeadSize, shape.HeadSize, stride, 1]);

    private static Tensor Grouped(HeadShape shape, Place place, long count, long stride)
        => Split(shape, place, count, stride).reshape(shape.KvHeads, shape.Group * count, shape.HeadSize);

    private static Tensor LogSums(LayerAttention layer, long first, long count, long tokens, Tensor? written = null)
    {
        var shape = layer.Shape;
        var sums = TensorMemory.View(layer.LogSums + first, [shape.KvHeads, shape.Group, count], [shape.Group * tokens, tokens, 1]);
        if (written is not null) sums.copy_(written.view(shape.KvHeads, shape.Group, count));
        return sums.reshape(shape.KvHeads, shape.Group * count);
    }
}
