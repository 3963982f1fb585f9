using TorchSharp;
using Trainer.Engine.Fast.Operations;
using Trainer.Models.Config;
using static TorchSharp.torch;

namespace Trainer.Engine.Fast.Libtorch;

internal sealed partial class TorchKernels
{
    public void Norm(Place x, Place weight, float offset, float epsilon, Place y, Place inverse, int width, long rows)
    {
        using var scope = NewDisposeScope();
        var from = Rows(x, rows, width);
        var scales = from.square().mean([1], keepdim: true).add(epsilon).rsqrt();
        if (!inverse.IsNone) Rows(inverse, rows, 1).copy_(scales);
        Rows(y, rows, width).copy_(from * scales * (Row(weight, width) + offset));
    }

    public void AddNorm(Place x, Place delta, Place sum, Place weight, Place y, Place inverse, long rows)
    {
        AddScaled(x, delta, _shape.ResidualMultiplier, sum, rows * _shape.Hidden);
        Norm(sum, weight, _shape.UnitOffset, _shape.Epsilon, y, inverse, _shape.Hidden, rows);
    }

    public void NormBackward(Place x, Place weight, float offset, Place inverse, Place dy, Place residual, Place dx, int width, long rows)
    {
        using var scope = NewDisposeScope();
        var scales = Rows(inverse, rows, 1);
        var normed = Rows(x, rows, width) * scales;
        var upper = Rows(dy, rows, width) * (Row(weight, width) + offset);
        var gradient = scales * (upper - normed * (upper * normed).mean([1], keepdim: true));
        Rows(dx, rows, width).copy_(residual.IsNone ? gradient : gradient + Rows(residual, rows, width));
    }

    public void NormWeightGradient(Place x, Place inverse, Place dy, Place target, int width, long rows)
    {
        using var scope = NewDisposeScope();
        Row(target, width).add_((Rows(dy, rows, width) * Rows(x, rows, width) * Rows(inverse, rows, 1)).sum([0]));
    }

    public void Rotate(Place x, int stride, int heads, int size, Place cos, Place sin, Place positions, int half, bool pairs, bool inverse, long tokens)
    {
        using var scope = NewDisposeScope();
        Tensor Table(Place place) => Rows(place, TensorMemory.Left(place) / half, half).index_select(0, Index(positions, tokens)).unsqueeze(1);
        Tensor Part(long begin) => TensorMemory.View(x + begin, [tokens, heads, half], [stride, size, pairs ? 2 : 1]);
        var (first, second, c, s) = (Part(0), Part(pairs ? 1 : half), Table(cos), inverse ? Table(sin).neg() : Table(sin));
        var turned = first * c - second * s;
        second.copy_(second * c + first * s);
        first.copy_(turned);
    }

    public void ScaleRows(Place x, long stride, int width, Place factors, long rows)
    {
        using var scope = NewDisposeScope();
        TensorMemory.View(x, [rows, width], [stride, 1]).mul_(Rows(factors, rows, 1));
    }

    public void Gate(GateShape shape, Place gate, Place up, Place activated, long rows)
    {
        using var scope = NewDisposeScope();
        if (shape.IsAlone)
        {
            Rows(activated, rows, shape.Width).copy_(Alone(shape, gate, rows).relu().square());
            return;
        }
        var (g, u) = GateAndUp(shape, gate, up, rows);
        Rows(activated, rows, shape.Width).copy_(shape.IsClamped ? Clamped(g, u).Value : Activation(shape, g).Value * u);
    }

    public void GateBackward(GateShape shape, Place gate, Place up, Place gradient, long rows)
    {
        using var scope = NewDisposeScope();
        if (shape.IsAlone)
        {
            var x = Alone(shape, gate, rows);
            x.copy_(2 * x.relu() * Rows(gradient, rows, shape.Width));
            return;
        }
        var ((g, u), from) = (GateAndUp(shape, gate, up, rows), Rows(gradient, rows, shape.Width));
        if (shape.IsClamped)
        {
            var (_, gateSlope, upSlope) = Clamped(g, u);
            g.copy_(from * gateSlope);
            u.copy_(from * upSlope);
            return;
        }
        var (value, slope) = Activation(shape, g);
        g.copy_(from * u * slope);
        u.copy_(from * value);
    }

    public void Silu(Place x, long count, Place y)
    {
        using var scope = NewDisposeScope();
        Row(y, count).copy_(nn.functional.silu(Row(x, count)));
    }

    public void SiluBackward(Place x, Place dy, long count, Place dx)
    {
        using var scope = NewDisposeScope();
        var from = Row(x, count);
        var share = from.sigmoid();
        Row(dx, count).copy_(Row(dy, count) * share * (1 + from * (1 - share)));
    }

    public void GateValues(Place gate, Place x, long count, Place y)
    {
        using var scope = NewDisposeScope();
        Row(y, count).copy_(Row(x, count) * Row(gate, count).sigmoid());
    }

    public void GateValuesBackward(Place gate, Place x, Place dy, long count, Place dx, Place dgate)
    {
        using var scope = NewDisposeScope();
        var (share, upper) = (Row(gate, count).sigmoid(), Row(dy, count));
        Row(dgate, count).copy_(upper * Row(x, count) * share * (1 - share));
        Row(dx, count).copy_(upper * share);
    }

    public void Clamp(Place x, long count, float limit)
    {
        using var scope = NewDisposeScope();
        Row(x, count).clamp_(-limit, limit);
    }

    public void ClampBackward(Place x, long count, float limit, Place dx)
    {
        using var scope = NewDisposeScope();
        Row(dx, count).mul_(Row(x, count).abs().lt(limit));
    }

    public void CapLogits(Place logits, long rows)
    {
        if (_shape.LogitCap is not { } cap) return;
        using var scope = NewDisposeScope();
        Row(logits, rows * _shape.Vocabulary).div_(cap).tanh_().mul_(cap);
    }

    // With smoothing e: (1 - e) (-log p_y) + e mean_v(-log p_v) = -log p_y + e (x_y - mean x).
    public void CrossEntropy(PassMemory room, Place logits, long rows, Place targets, Place factors, Place losses, double? scale, double smoothing, Place means)
    {
        using var scope = NewDisposeScope();
        CapLogits(logits, rows);
        var x = Rows(logits, rows, _shape.Vocabulary);
        var right = Index(targets, rows).unsqueeze(1);
        var (sums, chosen) = (x.logsumexp(1, keepdim: true), x.gather(1, right));
        var loss = sums - chosen;
        if (smoothing != 0) loss += smoothing * (chosen - x.mean([1], keepdim: true));
        Rows(losses, rows, 1).copy_(loss);
        if (!means.IsNone) Rows(means, rows, 1).copy_(x.mean([1], keepdim: true));
        if (scale is not { } multiplier) return;
        var each = Rows(factors, rows, 1) * multiplier;
        var slopes = _shape.LogitCap is { } cap ? 1 - (x / cap).square() : null;
        x.sub_(sums).exp_().mul_(each).scatter_add_(1, right, each * (smoothing - 1)).sub_(each * (smoothing / _shape.Vocabulary));
        if (slopes is not null) x.mul_(slopes);
    }

    private static Tensor Alone(GateShape shape, Place x, long rows) => Rows(x, rows, shape.Width, shape.Stride);

    private static (Tensor Gate, Tensor Up) GateAndUp(GateShape shape, Place gate, Place up, long rows)
    {
        Tensor Every(Place place, long step) => TensorMemory.View(place, [rows, shape.Width], [shape.Stride, step]);
        return shape.IsClamped ? (Every(gate, 2), Every(gate + 1, 2)) : (Every(gate, 1), Every(up, 1));
    }

    // (u' + 1) g' sigmoid(1.702 g') of clamped values, see ClampedUnit, and its slopes.
    private static (Tensor Value, Tensor GateSlope, Tensor UpSlope) Clamped(Tensor g, Tensor u)
    {
        var (gate, up) = (g.clamp_max(7), u.clamp(-7, 7));
        var share = (gate * 1.702).sigmoid();
        return ((up + 1) * gate * share, (up + 1) * share * (1 + 1.702 * gate * (1 - share)) * g.le(7), gate * share * u.abs().le(7));
    }

    private static (Tensor Value, Tensor Slope) Activation(GateShape shape, Tensor g)
    {
        if (shape.Kind == Trainer.Numerics.Elementwise.Gate.Silu)
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
