namespace Trainer.Engine.Tests.Adapters;

/// <summary>AdamW, clipping and the cosine schedule in the plainest form, for trajectories.</summary>
internal sealed class PlainOptimizer(ParameterBuffer parameters, double peak, double weightDecay, int warmup, int total)
{
    private readonly double[] _first = new double[parameters.Length];
    private readonly double[] _second = new double[parameters.Length];
    private int _step;

    /// <summary>Clips to norm 1, steps, zeroes gradients; gives the norm before clipping.</summary>
    public double Step()
    {
        var values = parameters.ValueSpan;
        var gradients = parameters.GradientSpan;
        var rate = _step < warmup ? peak * _step / warmup : peak * 0.5 * (1 + Math.Cos(Math.PI * (_step - warmup) / (total - warmup)));
        _step++;
        double squares = 0;
        foreach (var g in gradients.ToArray()) squares += (double)g * g;
        var norm = Math.Sqrt(squares);
        var clip = Math.Min(1, 1 / (norm + 1e-6));
        for (var i = 0; i < values.Length; i++)
        {
            var g = gradients[i] * clip;
            _first[i] = 0.9 * _first[i] + 0.1 * g;
            _second[i] = 0.999 * _second[i] + 0.001 * g * g;
            var value = values[i] * (1 - rate * weightDecay);
            values[i] = (float)(value - rate * (_first[i] / (1 - Math.Pow(0.9, _step))) / (Math.Sqrt(_second[i] / (1 - Math.Pow(0.999, _step))) + 1e-8));
        }
        parameters.ZeroGradients();
        return norm;
    }
}
