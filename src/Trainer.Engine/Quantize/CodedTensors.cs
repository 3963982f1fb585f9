using Trainer.Checkpoints;

namespace Trainer.Engine;

/// <summary>The weights of a folder that lie in codes other than NF4 (fp8, compressed-tensors, GPTQ, AWQ), as fp32, a range at a time; the last weight is kept.</summary>
internal sealed unsafe class CodedTensors : IDisposable
{
    private readonly WeightFiles _files;
    private readonly StoredQuantization _stored;
    private (string Name, IFrozenWeight Weight)? _last;

    private CodedTensors(WeightFiles files, StoredQuantization stored, SafetensorsDtype dense)
    {
        (_files, _stored) = (files, stored);
        Shapes = StoredMatrix.List(files, stored).ToDictionary(weight => weight.Name, weight => (new[] { weight.Rows, weight.Columns }, dense), StringComparer.Ordinal);
    }

    /// <summary>Shape of each weight, and the type of the folder's other weights, which a merged weight takes.</summary>
    public IReadOnlyDictionary<string, (long[] Shape, SafetensorsDtype Dtype)> Shapes { get; }

    /// <summary>The coded weights of a folder, or null where there are none.</summary>
    /// <param name="folder">A model folder.</param>
    public static CodedTensors? Of(string folder)
    {
        if (ConfigLoader.LoadQuantization(folder) is not { IsNf4: false } stored) return null;
        var files = WeightFiles.AsStored(folder);
        var dense = files.Names.Select(name => files.Entry(name)).Where(entry => entry.Name.EndsWith(".weight", StringComparison.Ordinal) && StoredValues.CanRead(entry.Dtype)).Select(entry => entry.Dtype);
        return new CodedTensors(files, stored, dense.FirstOrDefault(SafetensorsDtype.BF16));
    }

    /// <summary>Whether a tensor is a part of a coded weight.</summary>
    public bool IsPart(string tensor) => StoredMatrix.IsPart(_files, tensor);

    /// <summary>Reads elements [begin, begin + values.Length) of a weight.</summary>
    public void Read(string name, long begin, Span<float> values)
    {
        var weight = Weight(name);
        fixed (float* destination = values)
        {
            for (long done = 0; done < values.Length;)
            {
                var (row, column) = Math.DivRem(begin + done, weight.Columns);
                var count = Math.Min(weight.Columns - column, values.Length - done);
                weight.Read(row, column, count, destination + done);
                done += count;
            }
        }
    }

    /// <summary>Lets go of the kept weight and the files.</summary>
    public void Dispose()
    {
        _last?.Weight.Dispose();
        _files.Dispose();
    }

    private IFrozenWeight Weight(string name)
    {
        if (_last is { } last && last.Name == name) return last.Weight;
        _last?.Weight.Dispose();
        var shape = Shapes[name].Shape;
        var weight = StoredMatrix.Read(_files, _stored, name, shape[0], shape[1]);
        _last = (name, weight);
        return weight;
    }
}
