namespace Trainer.Training.Optimizers;

/// <summary>Puts an optimizer's averages in the place of the values, and puts the values back when it is disposed of.</summary>
internal sealed class AveragedValues : IDisposable
{
    private readonly IParameterStore _parameters;
    private readonly float[]? _values;

    private AveragedValues(IParameterStore parameters, float[]? values) => (_parameters, _values) = (parameters, values);

    /// <summary>Changes nothing for an optimizer that does not average.</summary>
    public static AveragedValues In(IParameterStore parameters, IOptimizer optimizer)
    {
        var values = parameters.HostValues().ToArray();
        return new AveragedValues(parameters, Keep(parameters, optimizer) ? values : null);
    }

    /// <summary>The same for good: training is over.</summary>
    public static bool Keep(IParameterStore parameters, IOptimizer optimizer)
    {
        var averages = new float[parameters.Length];
        if (!optimizer.Average(parameters.HostValues(), averages)) return false;
        parameters.Write(averages);
        return true;
    }

    public void Dispose()
    {
        if (_values is not null) _parameters.Write(_values);
    }
}
