using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Weights;
using Trainer.Engine.Weights.Stored;
using Trainer.Models.Config;
using Trainer.Models.Families;

namespace Trainer.Engine.Quantize;

/// <summary>The weights of a folder that lie in codes other than NF4 (fp8, compressed-tensors, GPTQ, AWQ, experts in MXFP4), as fp32, a range at a time; the
/// last weight is kept.</summary>
internal sealed unsafe class CodedTensors : IDisposable
{
    private readonly WeightFiles _files;
    private readonly StoredQuantization _stored;
    private readonly HashSet<string> _experts;
    private (string Name, IFrozenWeight Weight)? _last;
    private (string Name, long Expert, float[] Values)? _expert;

    private CodedTensors(WeightFiles files, StoredQuantization stored, SafetensorsDtype dense)
    {
        (_files, _stored) = (files, stored);
        var shapes = StoredMatrix.List(files, stored).ToDictionary(weight => weight.Name, weight => (new[] { weight.Rows, weight.Columns }, dense),
            StringComparer.Ordinal);
        _experts = [.. files.Names.Where(name => name.EndsWith(Mxfp4Layout.Blocks, StringComparison.Ordinal) && files.Entry(name).Shape.Length == 4)
            .Select(name => name[..^Mxfp4Layout.Blocks.Length])];
        foreach (var name in _experts)
        {
            // Codes lie [out, in], the plain tensor of such families [in, out].
            var codes = files.Entry(name + Mxfp4Layout.Blocks).Shape;
            shapes[name] = ([codes[0], codes[2] * Mxfp4Weight.BlockColumns, codes[1]], dense);
        }
        Shapes = shapes;
    }

    /// <summary>Shape of each weight, and the type of the folder's other weights, which a merged weight takes.</summary>
    public IReadOnlyDictionary<string, (long[] Shape, SafetensorsDtype Dtype)> Shapes { get; }

    /// <summary>The coded weights of a folder, or null where there are none.</summary>
    /// <param name="folder">A model folder.</param>
    public static CodedTensors? Of(string folder)
    {
        if (ConfigLoader.LoadQuantization(folder) is not { IsNf4: false } stored) return null;
        var files = WeightFiles.AsStored(folder);
        var dense = files.Names.Select(name => files.Entry(name))
            .Where(entry => entry.Name.EndsWith(".weight", StringComparison.Ordinal) && StoredValues.CanRead(entry.Dtype)).Select(entry => entry.Dtype);
        return new CodedTensors(files, stored, dense.FirstOrDefault(SafetensorsDtype.BF16));
    }

    /// <summary>Whether a tensor is a part of a coded weight.</summary>
    public bool IsPart(string tensor) => StoredMatrix.IsPart(_files, tensor)
        || _experts.Any(name => tensor == name + Mxfp4Layout.Blocks || tensor == name + Mxfp4Layout.Scales);

    /// <summary>Reads elements [begin, begin + values.Length) of a weight.</summary>
    public void Read(string name, long begin, Span<float> values)
    {
        if (_experts.Contains(name))
        {
            ReadExperts(name, begin, values);
            return;
        }
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

    // One expert at a time, turned once.
    private void ReadExperts(string name, long begin, Span<float> values)
    {
        var shape = Shapes[name].Shape;
        var (columns, rows) = (shape[1], shape[2]);
        for (var done = 0; done < values.Length;)
        {
            var (expert, at) = Math.DivRem(begin + done, rows * columns);
            if (_expert is not { } kept || kept.Name != name || kept.Expert != expert)
                _expert = kept = (name, expert, Turned(Mxfp4Layout.Read(_files, name, (int)shape[0], rows, columns)[(int)expert], rows, columns));
            var count = (int)Math.Min(values.Length - done, rows * columns - at);
            kept.Values.AsSpan((int)at, count).CopyTo(values[done..]);
            done += count;
        }
    }

    private static float[] Turned(Mxfp4Weight weight, long rows, long columns)
    {
        var (turned, row) = (new float[rows * columns], new float[columns]);
        fixed (float* line = row)
        {
            for (long r = 0; r < rows; r++)
            {
                weight.Read(r, 0, columns, line);
                for (long c = 0; c < columns; c++) turned[c * rows + r] = row[c];
            }
        }
        return turned;
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
