using Trainer.Engine.Fast.Operations;

namespace Trainer.Engine.Fast;

/// <summary>Norms with the weights of a module, frozen or trained.</summary>
internal sealed class FastNorm(LoadedDecoder model, IKernels kernels, FastParameters parameters)
{
    /// <summary>Whether the module's weight is trained.</summary>
    public bool Trains(NormModule? norm) => model.AdaptersEnabled && norm?.Trained is not null;

    /// <summary>y = norm(x) of rows of <paramref name="width"/>, and each row's inverse root mean square; y may be x. The weight's elements begin at
    /// <paramref name="first"/>.</summary>
    public void Forward(NormModule norm, Place x, Place y, Place inverse, int width, long rows, int first = 0)
        => kernels.Norm(x, Weight(norm) + first, Offset(norm), (float)norm.Blueprint.Norm!.Epsilon, y, inverse, width, rows);

    /// <summary>sum = x + m delta, y = norm(sum) in one pass over memory (rows, hidden).</summary>
    public void AddForward(NormModule norm, Place x, Place delta, Place sum, Place y, Place inverse, long rows) =>
        kernels.AddNorm(x, delta, sum, Weight(norm), y, inverse, rows);

    /// <summary>dx = residual + the gradient through the norm; adds the weight's gradient where it is trained. dx may be dy or residual.</summary>
    public void Backward(NormModule norm, Place x, Place inverse, Place dy, Place residual, Place dx, int width, long rows, int first = 0)
    {
        if (Trains(norm)) kernels.NormWeightGradient(x, inverse, dy, parameters.Gradients(norm.Trained!) + first, width, rows);
        kernels.NormBackward(x, Weight(norm) + first, Offset(norm), inverse, dy, residual, dx, width, rows);
    }

    // Of a weight that is stored minus one.
    private static float Offset(NormModule norm) => norm.Blueprint.Norm!.WeightPlusOne ? 1f : 0f;

    private Place Weight(NormModule norm) => Trains(norm) ? parameters.Values(norm.Trained!) : kernels.Of(norm.Weight);
}
