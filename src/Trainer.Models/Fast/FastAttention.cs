using System.Runtime.InteropServices;
using Trainer.Models.Native;
using Trainer.Numerics.Elementwise;
using TorchSharp;

namespace Trainer.Models.Fast;

/// <summary>Attention of a layer over all segments, and its gradient, on libtorch's flash kernels.</summary>
internal sealed unsafe class FastAttention(FastShape shape, StepMeter meter) : IDisposable
{
    private readonly Dictionary<(int Queries, int Keys, int Window), torch.Tensor> _masks = [];

    /// <summary>Fills the state's output; where <paramref name="keep"/> is set, the log-sums stay for the backward pass.</summary>
    public void Forward(LayerState state, IEnumerable<AttentionBlock> blocks, bool keep)
    {
        var start = StepMeter.Now;
        double operations = 0;
        foreach (var block in blocks)
        {
            using var query = AttentionView.OfQueries(shape, state.Query, shape.QueryStride, block.QueryBegin, block.QueryCount);
            using var key = AttentionView.OfKeys(shape, state.Key, shape.KvStride, block.KeyBegin, block.KeyCount);
            using var value = AttentionView.OfKeys(shape, state.Value, shape.KvStride, block.KeyBegin, block.KeyCount);
            var (output, logSum) = FlashAttention.Forward(query, key, value, block.Window == 0, MaskOf(block), shape.AttentionScale);
            Copy(output, state.Attended, shape.Query, block.QueryBegin, block.QueryCount);
            output.Dispose();
            if (keep) state.LogSums.Add(logSum.DetachFromDisposeScope());
            else logSum.Dispose();
            operations += Operations(block, 2);
        }
        meter.Add(StepPart.Attention, start, operations);
    }

    /// <summary>Gradients of queries, keys and values from that of the output (T, query width); all targets are overwritten.</summary>
    public void Backward(LayerState state, IEnumerable<AttentionBlock> blocks, float* gradient, float* dq, float* dk, float* dv, long tokens)
    {
        var start = StepMeter.Now;
        double operations = 0;
        Clear(dk, shape.KvStride, tokens);
        Clear(dv, shape.KvStride, tokens);
        var call = 0;
        foreach (var block in blocks)
        {
            using var query = AttentionView.OfQueries(shape, state.Query, shape.QueryStride, block.QueryBegin, block.QueryCount);
            using var key = AttentionView.OfKeys(shape, state.Key, shape.KvStride, block.KeyBegin, block.KeyCount);
            using var value = AttentionView.OfKeys(shape, state.Value, shape.KvStride, block.KeyBegin, block.KeyCount);
            using var output = AttentionView.OfQueries(shape, state.Attended, shape.Query, block.QueryBegin, block.QueryCount);
            using var upper = AttentionView.OfQueries(shape, gradient, shape.Query, block.QueryBegin, block.QueryCount);
            var (q, k, v) = FlashAttention.Backward(
                upper, query, key, value, output, state.LogSums[call++], block.Window == 0, MaskOf(block), shape.AttentionScale);
            Copy(q, dq, shape.QueryStride, block.QueryBegin, block.QueryCount);
            AddGroups(k, dk, block.KeyBegin, block.KeyCount);
            AddGroups(v, dv, block.KeyBegin, block.KeyCount);
            q.Dispose();
            k.Dispose();
            v.Dispose();
            operations += Operations(block, 5);
        }
        state.Release();
        meter.Add(StepPart.Attention, start, operations);
    }

    /// <summary>Forgets masks when many have gathered: their sizes follow the batch's lengths.</summary>
    public void TrimMasks()
    {
        if (_masks.Count > 4) Dispose();
    }

    /// <summary>Products of size (queries x keys x head size) in a call, half of them where causal.</summary>
    private double Operations(AttentionBlock block, int products)
        => 2.0 * products * shape.Heads * block.QueryCount * block.KeyCount * shape.HeadSize * (block.Window == 0 ? 0.5 : 1);

    private torch.Tensor? MaskOf(AttentionBlock block)
    {
        if (block.Window == 0) return null;
        var shift = block.QueryBegin - block.KeyBegin;
        // Queries and keys of a block end together, so the counts alone place them.
        var at = (block.QueryCount, block.KeyCount, block.Window);
        if (_masks.TryGetValue(at, out var known)) return known;
        using var scope = torch.NewDisposeScope();
        var i = torch.arange(block.QueryCount, dtype: torch.ScalarType.Int64).unsqueeze(1) + shift;
        var j = torch.arange(block.KeyCount, dtype: torch.ScalarType.Int64).unsqueeze(0);
        var distance = i - j;
        var hidden = distance.lt(0).logical_or(distance.ge(block.Window));
        var mask = torch.zeros(1, 1, block.QueryCount, block.KeyCount).masked_fill(hidden, float.NegativeInfinity);
        return _masks[at] = mask.DetachFromDisposeScope();
    }

    // (kv heads, group, tokens, size) in any strides to rows.
    private void Copy(torch.Tensor source, float* rows, long stride, long begin, long count)
    {
        var from = TorchMemory.Pointer(source);
        var (byKv, byGroup, byToken) = (source.stride(0), source.stride(1), source.stride(2));
        TorchThreads.For(0, count, 32, (first, last) =>
        {
            for (var t = first; t < last; t++)
            {
                var row = rows + (begin + t) * stride;
                for (var kv = 0; kv < shape.KvHeads; kv++)
                    for (var g = 0; g < shape.Group; g++, row += shape.HeadSize)
                        NativeMemory.Copy(from + kv * byKv + g * byGroup + t * byToken, row, (nuint)shape.HeadSize * sizeof(float));
            }
        });
    }

    // Adds a group's gradients to the row of the head it shares.
    private void AddGroups(torch.Tensor source, float* rows, long begin, long count)
    {
        var from = TorchMemory.Pointer(source);
        var (byKv, byGroup, byToken) = (source.stride(0), source.stride(1), source.stride(2));
        TorchThreads.For(0, count, 32, (first, last) =>
        {
            for (var t = first; t < last; t++)
            {
                for (var kv = 0; kv < shape.KvHeads; kv++)
                {
                    var row = rows + (begin + t) * shape.KvStride + kv * shape.HeadSize;
                    for (var g = 0; g < shape.Group; g++)
                        Arithmetic.AddScaled(row, from + kv * byKv + g * byGroup + t * byToken, 1f, row, 0, shape.HeadSize);
                }
            }
        });
    }

    private void Clear(float* rows, long stride, long tokens)
    {
        for (long t = 0; t < tokens; t++) NativeMemory.Clear(rows + t * stride, (nuint)shape.Kv * sizeof(float));
    }

    public void Dispose()
    {
        foreach (var mask in _masks.Values) mask.Dispose();
        _masks.Clear();
    }
}
