using TorchSharp;
using Trainer.Engine.Fast.Operations;
using static TorchSharp.torch;

namespace Trainer.Engine.Fast.Libtorch;

internal sealed partial class TorchKernels
{
    // Such a kernel knows causal attention: neither caps, nor windows that hide anything.
    private static bool Fuses(LayerAttention layer, int length)
        => layer.Shape.ScoreCap is null && layer.Sinks.IsNone && (layer.Window is not { } window || window >= length);

    private static void FusedForward(LayerAttention layer, int start, int length)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var ((query, key, value), shape) = (Operands(layer, start, length), layer.Shape);
        Heads(layer.Attended + start * (long)shape.Query, length, shape.Heads, shape.Query, shape.HeadSize).copy_(Fused(shape, query, key, value));
    }

    // Which kernel it is, and what it keeps for its backward pass, is the device's: so it is asked once more, and autograd finds the way back.
    private static void FusedBackward(LayerAttention layer, Place gradient, Place dq, Place dk, Place dv, int start, int length)
    {
        using var scope = NewDisposeScope();
        using var recorded = enable_grad();
        var ((query, key, value), shape) = (Operands(layer, start, length), layer.Shape);
        Tensor[] inputs = [query.requires_grad_(true), key.requires_grad_(true), value.requires_grad_(true)];
        var upper = Heads(gradient + start * (long)shape.Query, length, shape.Heads, shape.Query, shape.HeadSize);
        var gradients = autograd.grad([Fused(shape, query, key, value)], inputs, [upper]);
        using var quiet = no_grad();
        Heads(dq + start * (long)shape.QueryStride, length, shape.Heads, shape.QueryStride, shape.HeadSize).copy_(gradients[0]);
        Heads(dk + start * (long)shape.KvStride, length, shape.KvHeads, shape.KvStride, shape.HeadSize).copy_(gradients[1]);
        Heads(dv + start * (long)shape.KvStride, length, shape.KvHeads, shape.KvStride, shape.HeadSize).copy_(gradients[2]);
    }

    private static (Tensor Query, Tensor Key, Tensor Value) Operands(LayerAttention layer, int start, int length)
    {
        var shape = layer.Shape;
        Tensor Part(Place place, int heads, int stride) => Heads(place + start * (long)stride, length, heads, stride, shape.HeadSize).detach();
        return (Part(layer.Query, shape.Heads, shape.QueryStride), Part(layer.Key, shape.KvHeads, shape.KvStride), Part(layer.Value, shape.KvHeads,
            shape.KvStride));
    }

    // (heads, tokens, size). The kernel's own scale is 1 / sqrt(size).
    private static Tensor Fused(HeadShape shape, Tensor query, Tensor key, Tensor value)
    {
        var scale = shape.Scale * Math.Sqrt(shape.HeadSize);
        var scaled = Math.Abs(scale - 1) < 1e-12 ? query : query * scale;
        return nn.functional.scaled_dot_product_attention(scaled.unsqueeze(0), Repeated(shape, key), Repeated(shape, value), is_casual: true).squeeze(0);
    }

    // Each key head once for every query head that shares it: (1, heads, tokens, size).
    private static Tensor Repeated(HeadShape shape, Tensor shared) => shape.Group == 1 ? shared.unsqueeze(0)
        : shared.unsqueeze(1).expand(shape.KvHeads, shape.Group, shared.shape[1], shape.HeadSize).reshape(1, shape.Heads, shared.shape[1], shape.HeadSize);
}
