using TorchSharp;
using Trainer.Engine.Fast.Operations;
using static TorchSharp.torch;

namespace Trainer.Engine.Fast.Libtorch;

internal sealed partial class TorchKernels
{
    // Such a kernel knows causal attention: neither caps, nor windows that hide anything.
    private bool Fuses(LayerAttention layer, int length)
        => _shape.ScoreCap is null && layer.Sinks.IsNone && (layer.Window is not { } window || window >= length);

    private void FusedForward(LayerAttention layer, int start, int length)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var (query, key, value) = Operands(layer, start, length);
        Heads(layer.Attended + start * (long)_shape.Query, length, _shape.Heads, _shape.Query).copy_(Fused(query, key, value));
    }

    // Which kernel it is, and what it keeps for its backward pass, is the device's: so it is asked once more, and autograd finds the way back.
    private void FusedBackward(LayerAttention layer, Place gradient, Place dq, Place dk, Place dv, int start, int length)
    {
        using var scope = NewDisposeScope();
        using var recorded = enable_grad();
        var (query, key, value) = Operands(layer, start, length);
        Tensor[] inputs = [query.requires_grad_(true), key.requires_grad_(true), value.requires_grad_(true)];
        var upper = Heads(gradient + start * (long)_shape.Query, length, _shape.Heads, _shape.Query);
        var gradients = autograd.grad([Fused(query, key, value)], inputs, [upper]);
        using var quiet = no_grad();
        Heads(dq + start * (long)_shape.QueryStride, length, _shape.Heads, _shape.QueryStride).copy_(gradients[0]);
        Heads(dk + start * (long)_shape.KvStride, length, _shape.KvHeads, _shape.KvStride).copy_(gradients[1]);
        Heads(dv + start * (long)_shape.KvStride, length, _shape.KvHeads, _shape.KvStride).copy_(gradients[2]);
    }

    private (Tensor Query, Tensor Key, Tensor Value) Operands(LayerAttention layer, int start, int length)
    {
        Tensor Part(Place place, int heads, int stride) => Heads(place + start * (long)stride, length, heads, stride).detach();
        return (Part(layer.Query, _shape.Heads, _shape.QueryStride), Part(layer.Key, _shape.KvHeads, _shape.KvStride), Part(layer.Value, _shape.KvHeads,
            _shape.KvStride));
    }

    // (heads, tokens, size). The kernel's own scale is 1 / sqrt(size).
    private Tensor Fused(Tensor query, Tensor key, Tensor value)
    {
        var scale = _shape.AttentionScale * Math.Sqrt(_shape.HeadSize);
        var scaled = Math.Abs(scale - 1) < 1e-12 ? query : query * scale;
        return nn.functional.scaled_dot_product_attention(scaled.unsqueeze(0), Repeated(key), Repeated(value), is_casual: true).squeeze(0);
    }

    // Each key head once for every query head that shares it: (1, heads, tokens, size).
    private Tensor Repeated(Tensor shared) => _shape.Group == 1 ? shared.unsqueeze(0)
        : shared.unsqueeze(1).expand(_shape.KvHeads, _shape.Group, shared.shape[1], _shape.HeadSize).reshape(1, _shape.Heads, shared.shape[1], _shape.HeadSize);
}
