using Trainer.Engine.Native;
using Trainer.Numerics.Elementwise;

namespace Trainer.Engine.Fast;

/// <summary>Norms with the weights of a module, frozen or trained.</summary>
internal sealed unsafe class FastNorm(CausalModel model, FastShape shape)
{
    private const long Grain = 1 << 14;
    private const long ColumnGrain = 64;

    /// <summary>Whether the module's weight is trained.</summary>
    public bool Trains(NormModule? norm) => model.AdaptersEnabled && norm?.Trained is not null;

    /// <summary>y = norm(x) of rows of <paramref name="width"/>, and each row's inverse root mean square; y may be x.</summary>
    public void Forward(NormModule norm, float* x, float* y, float* inverse, int width, long rows)
    {
        var weight = Weight(norm);
        TorchThreads.For(0, rows, RowGrain(width), (begin, end) => RmsNorm.Forward(x, weight, y, inverse, width, shape.Epsilon, shape.UnitOffset, begin, end));
    }

    /// <summary>sum = x + m delta, y = norm(sum) in one pass over memory (rows, hidden).</summary>
    public void AddForward(NormModule norm, float* x, float* delta, float* sum, float* y, float* inverse, long rows)
    {
        var weight = Weight(norm);
        TorchThreads.For(0, rows, RowGrain(shape.Hidden), (begin, end) => RmsNorm.AddForward(
            x, delta, shape.ResidualMultiplier, sum, weight, y, inverse, shape.Hidden, shape.Epsilon, shape.UnitOffset, begin, end));
    }

    /// <summary>dx = residual + the gradient through the norm; adds the weight's gradient where it is trained. dx may be dy or residual.</summary>
    public void Backward(NormModule norm, float* x, float* inverse, float* dy, float* residual, float* dx, int width, long rows)
    {
        var weight = Weight(norm);
        if (Trains(norm))
        {
            // Columns are split among threads, so each sum has one owner and one order.
            var target = model.Parameters.GradientPointer + norm.Trained!.Offset;
            TorchThreads.For(0, width, ColumnGrain, (begin, end) => RmsNorm.WeightGradient(x, inverse, dy, target, width, rows, (int)begin, (int)end));
        }
        TorchThreads.For(0, rows, RowGrain(width), (begin, end) => RmsNorm.Backward(x, weight, inverse, dy, residual, dx, width, shape.UnitOffset, begin, end));
    }

    private static long RowGrain(int width) => Math.Max(1, Grain / width);

    private float* Weight(NormModule norm) => Trains(norm) ? model.Parameters.ValuePointer + norm.Trained!.Offset : TorchMemory.Pointer(norm.Weight);
}
