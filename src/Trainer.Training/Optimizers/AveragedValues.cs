using Trainer.Numerics.Spans;
using Trainer.Training.Steps;

namespace Trainer.Training.Optimizers;

/// <summary>Puts an optimizer's averages in the place of the values, and puts the values back when it is disposed of.</summary>
internal sealed class AveragedValues : IDisposable
{
    private readonly IParameterStore _parameters;
    private readonly LongArray<float>? _values;

    private AveragedValues(IParameterStore parameters, LongArray<float>? values) => (_parameters, _values) = (parameters, values);

    /// <summary>Changes nothing for an optimizer that does not average.</summary>
    public static AveragedValues In(IParameterStore parameters, IOptimizer optimizer)
    {
        var values = optimizer.HasAverages ? parameters.HostValues().ToLongArray() : null;
        Keep(parameters, optimizer);
        return new AveragedValues(parameters, values);
    }

    /// <summary>The same for good: training is over.</summary>
    public static void Keep(IParameterStore parameters, IOptimizer optimizer)
    {
        if (!optimizer.HasAverages) return;
        using var averages = new LongArray<float>(parameters.Length);
        optimizer.Average(parameters.HostValues(), averages.All);
        foreach (var tensor in parameters.Tensors) parameters.Write(tensor.Offset, averages.All.Slice(tensor.Offset, tensor.Count));
    }

    public void Dispose()
    {
        if (_values is null) return;
        _parameters.Write(0, _values.All);
        _values.Dispose();
    }
}
