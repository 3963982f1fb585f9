namespace Trainer.Training.Objectives;

/// <summary>Means of what an objective measures: one value a micro-batch that has such rows, as TRL logs them. Its numbers can be summed over ranks.</summary>
internal sealed class MetricSums
{
    private readonly IReadOnlyList<string> _names;

    /// <param name="names">What is measured.</param>
    public MetricSums(IReadOnlyList<string> names) => (_names, Numbers) = (names, new double[2 * names.Count]);

    /// <summary>Sum and count of each, in turn.</summary>
    public double[] Numbers { get; }

    /// <summary>Hears one value; NaN says that there was none.</summary>
    public void Add(string name, double value)
    {
        if (double.IsNaN(value)) return;
        var index = Index(name);
        Numbers[2 * index] += value;
        Numbers[2 * index + 1]++;
    }

    /// <summary>The means of what was measured.</summary>
    public IReadOnlyDictionary<string, double> Means() =>
        _names.Select((name, index) => (name, index)).Where(each => Numbers[2 * each.index + 1] > 0)
            .ToDictionary(each => each.name, each => Numbers[2 * each.index] / Numbers[2 * each.index + 1], StringComparer.Ordinal);

    private int Index(string name)
    {
        for (var i = 0; i < _names.Count; i++)
            if (_names[i] == name) return i;
        throw new ArgumentException($"'{name}' is not measured");
    }
}
