using TorchSharp;
using Trainer.Numerics.Elementwise;
using static TorchSharp.torch;

namespace Trainer.Engine.Fast;

internal sealed partial class TorchKernels
{
    public void Norm(Place x, Place weight, Place y, Place inverse, int width, long rows)
    {
        using var scope = NewDisposeScope();
        var from = Rows(x, rows, width);
        var scales = from.square().mean([1], keepdim: true).add(_shape.Epsilon).rsqrt();
        if (!inverse.IsNone) Rows(inverse, rows, 1).copy_(scales);
        Rows(y, rows, width).copy_(from * scales * Weight(weight, width));
    }

    public void AddNorm(Place x, Place delta, Place sum, Place weight, Place y, Place inverse, long rows)
    {
        AddScaled(x, delta, _shape.ResidualMultiplier, sum, rows * _shape.Hidden);
        Norm(sum, weight, y, inverse, _shape.Hidden, rows);
    }

    public void NormBackward(Place x, Place weight, Place inverse, Place dy, Place residual, Place dx, int width, long rows)
    {
        using var scope = NewDisposeScope();
        var scales = Rows(inverse, rows, 1);
        var normed = Rows(x, rows, width) * scales;
        var upper = Rows(dy, rows, width) * Weight(weight, width);
        var gradient = scales * (upper - normed * (upper * normed).mean([1], keepdim: true));
        Rows(dx, rows, width).copy_(residual.IsNone ? gradient : gradient + Rows(residual, rows, width));
    }

    public void NormWeightGradient(Place x, Place inverse, Place dy, Place target, int width, long rows)
    {
        using var scope = NewDisposeScope();
        Row(target, width).add_((Rows(dy, rows, width) * Rows(x, rows, width) * Rows(inverse, rows, 1)).sum([0]));
    }

    public void Rotate(Place x, int stride, int heads, Place cos, Place sin, Place positions, int half, bool inverse, long tokens)
    {
        using var scope = NewDisposeScope();
        Tensor Table(Place place) => Rows(place, TensorMemory.Left(place) / half, half).index_select(0, Index(positions, tokens)).unsqueeze(1);
        Tensor Part(long begin) => TensorMemory.View(x + begin, [tokens, heads, half], [stride, _shape.HeadSize, 1]);
        var (first, second, c, s) = (Part(0), Part(half), Table(cos), inverse ? Table(sin).neg() : Table(sin));
        var turned = first * c - second * s;
        second.copy_(second * c + first * s);
        first.copy_(turned);
    }

    public void Gate(Place gate, Place up, Place activated, long rows)
    {
        using var scope = NewDisposeScope();
        var (wide, stride) = (_shape.Wide, _shape.GateStride);
        Rows(activated, rows, wide).copy_(Activation(Rows(gate, rows, wide, stride)).Value * Rows(up, rows, wide, stride));
    }

    public void GateBackward(Place gate, Place up, Place gradient, long rows)
    {
        using var scope = NewDisposeScope();
        var (wide, stride) = (_shape.Wide, _shape.GateStride);
        var (g, u, from) = (Rows(gate, rows, wide, stride), Rows(up, rows, wide, stride), Rows(gradient, rows, wide));
        var (value, slope) = Activation(g);
        g.copy_(from * u * slope);
        u.copy_(from * value);
    }

    public void CapLogits(Place logits, long rows)
    {
        if (_shape.LogitCap is not { } cap) return;
        using var scope = NewDisposeScope();
        Row(logits, rows * _shape.Vocabulary).div_(cap).tanh_().mul_(cap);
    }

    // With smoothing e: (1 - e) (-log p_y) + e mean_v(-log p_v) = -log p_y + e (x_y - mean x).
    public void CrossEntropy(PassMemory room, Place logits, long rows, Place targets, Place factors, Place losses, double? scale, double smoothing)
    {
        using var scope = NewDisposeScope();
        CapLogits(logits, rows);
        var x = Rows(logits, rows, _shape.Vocabulary);
        var right = Index(targets, rows).unsqueeze(1);
        var (sums, chosen) = (x.logsumexp(1, keepdim: true), x.gather(1, right));
        var loss = sums - chosen;
        if (smoothing != 0) loss += smoothing * (chosen - x.mean([1], keepdim: true));
        Rows(losses, rows, 1).copy_(loss);
        if (scale is not { } multiplier) return;
        var each = Rows(factors, rows, 1) * multiplier;
        var slopes = _shape.LogitCap is { } cap ? 1 - (x / cap).square() : null;
        x.sub_(sums).exp_().mul_(each).scatter_add_(1, right, each * (smoothing - 1)).sub_(each * (smoothing / _shape.Vocabulary));
        if (slopes is not null) x.mul_(slopes);
    }

    private Tensor Weight(Place weight, int width) => _shape.UnitOffset == 0f ? Row(weight, width) : Row(weight, width) + _shape.UnitOffset;

    private (Tensor Value, Tensor Slope) Activation(Tensor g)
    {
        if (_shape.Gate == Trainer.Numerics.Elementwise.Gate.Silu)
        {
            var share = g.sigmoid();
            return (g * share, share * (1 + g * (1 - share)));
        }
        // gelu(g) = g (1 + tanh(k (g + c g^3))) / 2
        var (k, c) = (Math.Sqrt(2 / Math.PI), 0.044715);
        var t = (k * (g + c * g.pow(3))).tanh();
        return (0.5 * g * (1 + t), 0.5 * (1 + t) + 0.5 * k * g * (1 - t.square()) * (1 + 3 * c * g.square()));
    }
}
