using Trainer.Numerics.Optimizer;

namespace Trainer.Ground.Tests.Numerics;

public sealed unsafe class OptimizerTests
{
    [Fact]
    public void Three_steps_follow_the_paper_in_double_precision()
    {
        var random = new Random(3);
        const int count = 101;
        float[] p = new float[count], m = new float[count], v = new float[count], g = new float[count];
        double[] p0 = new double[count], m0 = new double[count], v0 = new double[count];
        for (var i = 0; i < count; i++) p0[i] = p[i] = (float)(random.NextDouble() - 0.5);
        const double rate = 1e-2, b1 = 0.9, b2 = 0.999, eps = 1e-8, decay = 0.1, scale = 0.25;
        for (var t = 1; t <= 3; t++)
        {
            for (var i = 0; i < count; i++) g[i] = (float)(random.NextDouble() - 0.5);
            fixed (float* pp = p, pg = g, pm = m, pv = v)
                FlatAdamW.Step(pp, pg, pm, pv, 0, count, new AdamWStep(rate, b1, b2, eps, decay, scale, t));
            for (var i = 0; i < count; i++)
            {
                var gradient = g[i] * scale;
                p0[i] -= rate * decay * p0[i];
                m0[i] = b1 * m0[i] + (1 - b1) * gradient;
                v0[i] = b2 * v0[i] + (1 - b2) * gradient * gradient;
                p0[i] -= rate * (m0[i] / (1 - Math.Pow(b1, t))) / (Math.Sqrt(v0[i] / (1 - Math.Pow(b2, t))) + eps);
                Assert.Equal(p0[i], p[i], 2e-7);
            }
        }
    }

    [Fact]
    public void Ranges_step_their_own_elements_and_no_others()
    {
        float[] p = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], g = new float[10], m = new float[10], v = new float[10];
        Array.Fill(g, 1f);
        fixed (float* pp = p, pg = g, pm = m, pv = v)
        {
            FlatAdamW.Step(pp, pg, pm, pv, 2, 4, new AdamWStep(0.1, 0.9, 0.999, 0, 0, 1, 1));
            FlatAdamW.Step(pp, pg, pm, pv, 4, 9, new AdamWStep(0.5, 0.9, 0.999, 0, 0, 1, 1));
        }
        Assert.Equal([1, 2, 2.9f, 3.9f, 4.5f, 5.5f, 6.5f, 7.5f, 8.5f, 10], p.Select(x => MathF.Round(x, 4)));
    }

    [Fact]
    public void The_norm_is_the_same_for_every_split_and_close_to_the_exact_sum()
    {
        var random = new Random(5);
        var values = new float[FlatAdamW.NormChunk * 3 + 777];
        double exact = 0;
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = (float)(random.NextDouble() - 0.5) * 100;
            exact += (double)values[i] * values[i];
        }
        double[] whole = new double[4], parts = new double[4];
        fixed (float* x = values)
        fixed (double* a = whole, b = parts)
        {
            FlatAdamW.SquaredNorms(x, values.Length, a, 0, 4);
            FlatAdamW.SquaredNorms(x, values.Length, b, 2, 4);
            FlatAdamW.SquaredNorms(x, values.Length, b, 0, 2);
        }
        Assert.Equal(whole, parts);
        Assert.Equal(4, FlatAdamW.NormChunks(values.Length));
        Assert.Equal(exact, whole.Sum(), exact * 1e-12);
    }
}
