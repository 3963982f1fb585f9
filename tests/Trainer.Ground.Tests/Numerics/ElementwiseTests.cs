using System.Runtime.InteropServices;
using Trainer.Numerics;
using Trainer.Numerics.Elementwise;

namespace Trainer.Ground.Tests.Numerics;

public sealed unsafe class ElementwiseTests
{
    // Sizes with a tail after sixteen lanes, so that the last path is tried too.
    private const int Rows = 5, N = 16 * 7 + 11;

    public static TheoryData<KernelWidth> Widths => new(KernelWidth.Vector128, KernelWidth.Vector256, KernelWidth.Vector512);

    [SkippableTheory, MemberData(nameof(Widths))]
    public void Every_width_gives_the_bits_of_the_scalar_specification(KernelWidth width)
    {
        Skip.IfNot(Kernels.IsSupported(width), $"this processor has no {width}");
        Assert.Equal(ElementwiseRun.Bytes(KernelWidth.Scalar), ElementwiseRun.Bytes(width));
    }

    [Fact]
    public void Exponentials_err_by_little_more_than_one_unit_in_the_last_place()
    {
        var worst = 0.0;
        for (var x = -87.3; x < 88; x += 0.00137)
        {
            var exact = Math.Exp((float)x);
            var ulp = MathF.BitIncrement((float)exact) - (float)exact;
            worst = Math.Max(worst, Math.Abs(Exponential.Of((float)x) - exact) / ulp);
        }
        Assert.InRange(worst, 0.4, 1.1);
        Assert.Equal(0f, Exponential.Of(-88f));
        Assert.Equal(1f, Exponential.Of(0f));
        Assert.True(float.IsNaN(Exponential.Of(float.NaN)));
    }

    [Fact]
    public void Soft_caps_err_by_little_more_than_a_unit_in_the_last_place_and_give_their_slope()
    {
        const float cap = 50;
        var values = Enumerable.Range(-60000, 120001).Select(i => i * 0.0071f).ToArray();
        float[] capped = [.. values, float.NaN], slopes = new float[capped.Length];
        fixed (float* s = capped, d = slopes) SoftCap.Forward(s, d, capped.Length, cap);
        for (var i = 0; i < values.Length; i++)
        {
            var exact = cap * Math.Tanh((double)values[i] / cap);
            Assert.InRange(Math.Abs(capped[i] - exact), 0, 3e-7 * Math.Abs(exact));
            Assert.Equal(1 - Math.Pow(Math.Tanh((double)values[i] / cap), 2), slopes[i], 3e-7);
        }
        Assert.True(float.IsNaN(capped[^1]));
    }

    [Theory, InlineData(0f), InlineData(1f)]
    public void The_norms_gradient_is_the_slope_of_its_value(float unitOffset)
    {
        float[] x = Values(1, N), w = Values(2, N), dy = Values(3, N), y = new float[N], dx = new float[N], around = Values(4, N), dw = new float[N];
        fixed (float* px = x, pw = w, pdy = dy, py = y, pdx = dx, pa = around, pdw = dw)
        {
            float r;
            RmsNorm.Forward(px, pw, py, &r, N, 1e-5f, unitOffset, 0, 1);
            RmsNorm.Backward(px, pw, &r, pdy, pa, pdx, N, unitOffset, 0, 1);
            RmsNorm.WeightGradient(px, &r, pdy, pdw, N, 1, 0, N);
        }
        double Loss(int at, double step, double heavier = 0)
        {
            double squares = 0, loss = 0;
            for (var i = 0; i < N; i++) squares += Math.Pow(x[i] + (i == at ? step : 0), 2);
            var r = 1 / Math.Sqrt(squares / N + 1e-5);
            for (var i = 0; i < N; i++) loss += (x[i] + (i == at ? step : 0)) * r * (w[i] + (i == at ? heavier : 0) + unitOffset) * dy[i];
            return loss;
        }
        for (var i = 0; i < N; i++)
        {
            Assert.Equal((Loss(i, 1e-4) - Loss(i, -1e-4)) / 2e-4 + around[i], dx[i], 1e-5);
            Assert.Equal((Loss(i, 0, 1e-4) - Loss(i, 0, -1e-4)) / 2e-4, dw[i], 1e-5);
        }
    }

    [Theory, InlineData(Gate.Silu), InlineData(Gate.GeluTanh)]
    public void The_gated_units_gradients_are_the_slopes_of_its_value(Gate gate)
    {
        float[] g = Values(1, N), u = Values(2, N), dh = Values(3, N), h = new float[N], dg = new float[N], du = new float[N];
        for (var i = 0; i < N; i++) g[i] *= 6;
        fixed (float* pg = g, pu = u, pdh = dh, ph = h, pdg = dg, pdu = du)
        {
            GatedUnit.Forward(gate, pg, pu, ph, 0, N);
            GatedUnit.Backward(gate, pg, pu, pdh, pdg, pdu, 0, N);
        }
        double Act(double x) => gate == Gate.Silu ? x / (1 + Math.Exp(-x)) : 0.5 * x * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
        for (var i = 0; i < N; i++)
        {
            Assert.Equal(Act(g[i]) * u[i], h[i], 1e-6);
            Assert.Equal((Act(g[i] + 1e-5) - Act(g[i] - 1e-5)) / 2e-5 * u[i] * dh[i], dg[i], 1e-6);
            Assert.Equal(Act(g[i]) * dh[i], du[i], 1e-6);
        }
    }

    [Fact]
    public void The_units_without_gates_square_what_is_above_0_and_hide_no_number_that_is_none()
    {
        float[] x = Values(1, N), dh = Values(3, N), h = new float[N], dx = new float[N];
        (x[3], x[40], x[N - 1]) = (float.NaN, 0, float.NaN);
        fixed (float* px = x, pdh = dh, ph = h, pdx = dx)
        {
            SoleUnit.Forward(px, ph, 0, N);
            SoleUnit.Backward(px, pdh, pdx, 0, N);
        }
        for (var i = 0; i < N; i++)
        {
            Assert.Equal(float.IsNaN(x[i]) ? double.NaN : Math.Pow(Math.Max(x[i], 0), 2), h[i], 1e-6);
            Assert.Equal(float.IsNaN(x[i]) ? double.NaN : 2 * Math.Max(x[i], 0) * dh[i], dx[i], 1e-6);
        }
    }

    [Theory, InlineData(false), InlineData(true)]
    public void Turning_back_undoes_turning_and_leaves_the_rest_of_a_head_alone(bool pairs)
    {
        const int d = 48, h = 18;
        float[] x = Values(1, 3 * 2 * d), original = [.. x], cos = new float[5 * h], sin = new float[5 * h];
        for (var i = 0; i < cos.Length; i++) (sin[i], cos[i]) = MathF.SinCos(i * 0.77f);
        int[] positions = [0, 4, 2];
        fixed (float* px = x, pc = cos, ps = sin)
        fixed (int* pp = positions)
        {
            Rotary.Turn(px, pc, ps, pp, 2 * d, 2, d, h, pairs, false, 0, 3);
            var at = (1 * 2 + 1) * d;
            for (var i = 0; i < h; i++)
            {
                var (a, b) = pairs ? (at + 2 * i, at + 2 * i + 1) : (at + i, at + h + i);
                Assert.Equal(original[a] * cos[4 * h + i] - original[b] * sin[4 * h + i], x[a], 1e-6);
                Assert.Equal(original[b] * cos[4 * h + i] + original[a] * sin[4 * h + i], x[b], 1e-6);
            }
            for (var i = 2 * h; i < d; i++) Assert.Equal(original[at + i], x[at + i]);
            Rotary.Turn(px, pc, ps, pp, 2 * d, 2, d, h, pairs, true, 0, 3);
        }
        for (var i = 0; i < x.Length; i++) Assert.Equal(original[i], x[i], 1e-6);
    }

    [Fact]
    public void Loss_and_gradient_of_a_large_vocabulary_equal_double_precision()
    {
        const int vocabulary = 128256;
        var logits = Values(9, vocabulary);
        for (var i = 0; i < vocabulary; i++) logits[i] *= 8;
        float[] original = [.. logits];
        int[] targets = [77777];
        float[] factors = [0.25f];
        var losses = new double[1];
        fixed (float* z = logits, f = factors)
        fixed (int* t = targets)
        fixed (double* l = losses)
            CrossEntropy.Rows(z, vocabulary, t, f, l, 0, 1);
        var sum = original.Sum(v => Math.Exp(v));
        Assert.Equal(Math.Log(sum) - original[77777], losses[0], 1e-6);
        for (var i = 0; i < vocabulary; i++)
            Assert.Equal(0.25 * (Math.Exp(original[i]) / sum - (i == 77777 ? 1 : 0)), logits[i], 3e-8);
    }

    [Fact]
    public void A_nan_logit_makes_the_loss_nan()
    {
        var logits = Values(9, 100);
        logits[50] = float.NaN;
        int[] targets = [3];
        var losses = new double[1];
        fixed (float* z = logits)
        fixed (int* t = targets)
        fixed (double* l = losses)
            CrossEntropy.Rows(z, 100, t, null, l, 0, 1);
        Assert.True(double.IsNaN(losses[0]));
    }

    internal static float[] Values(int seed, int count)
    {
        var random = new Random(seed);
        var values = new float[count];
        for (var i = 0; i < count; i++) values[i] = (float)(random.NextDouble() * 2 - 1);
        return values;
    }
}
