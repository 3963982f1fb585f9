using System.Runtime.InteropServices;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Native;
using Trainer.Numerics.Optimizer;

namespace Trainer.Engine.Fast.Bench;

/// <summary>One whole training step, again and again: forward, backward, clipping and AdamW.</summary>
internal sealed unsafe class BenchStep : IDisposable
{
    private readonly CausalModel _model;
    private readonly TokenBatch _batch;
    private readonly Arena _moments;
    private readonly float* _first;
    private readonly float* _second;
    private readonly double[] _sums;
    private int _steps;

    /// <param name="model">The model with its adapter.</param>
    /// <param name="batch">What every step computes.</param>
    public BenchStep(CausalModel model, TokenBatch batch)
    {
        (_model, _batch) = (model, batch);
        _moments = new Arena(2 * model.Parameters.Length * sizeof(float) + 256);
        _first = Zeros(model.Parameters.Length);
        _second = Zeros(model.Parameters.Length);
        _sums = new double[FlatAdamW.NormChunks(model.Parameters.Length)];
    }

    /// <summary>The last step's clearing of gradients, clipping and AdamW.</summary>
    public PartTime OptimizerTime { get; private set; }

    /// <summary>Makes one step; returns the mean token loss before it.</summary>
    /// <param name="step">Key of the dropout masks.</param>
    public double Run(int step)
    {
        var clearing = Timed(_model.Parameters.ZeroGradients);
        var loss = _model.ForwardBackward(_batch, 1.0 / _batch.TrainedTokens, new StepKey(0, step, 0));
        OptimizerTime = clearing + Timed(() => Optimize(++_steps));
        return loss.LossSum / loss.TrainedTokens;
    }

    public void Dispose() => _moments.Dispose();

    private static PartTime Timed(Action work)
    {
        var (start, looped) = (BenchClock.Now, BenchClock.Looped);
        work();
        return new(BenchClock.Since(start), BenchClock.Seconds(BenchClock.Looped - looped));
    }

    private void Optimize(int step)
    {
        var parameters = _model.Parameters;
        float* values = parameters.ValuePointer, gradients = parameters.GradientPointer;
        fixed (double* sums = _sums)
        {
            var target = sums;
            ComputeThreads.For(0, _sums.Length, 4, (begin, end) => FlatAdamW.SquaredNorms(gradients, parameters.Length, target, begin, end));
        }
        var norm = Math.Sqrt(_sums.Sum());
        var numbers = new AdamWStep(1e-4, 0.9, 0.999, 1e-8, 0, norm > 1 ? 1 / norm : 1, step);
        ComputeThreads.For(0, parameters.Length, 1 << 14, (begin, end) => FlatAdamW.Step(values, gradients, _first, _second, begin, end, numbers));
    }

    private float* Zeros(long count)
    {
        var zeros = _moments.Floats(count);
        NativeMemory.Clear(zeros, (nuint)count * sizeof(float));
        return zeros;
    }
}
