using TorchSharp;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Adapters;

/// <summary>
/// The model that base and adapter make together, one tensor at a time and a few rows at a time: W + scale B A,
/// rescaled row by row with DoRA, and whatever was trained whole. Of a base loaded in 4 bits it is the dequantized base that is merged onto.
/// </summary>
public sealed class AdapterMerger
{
    private const long PartFloats = 4 << 20;
    private readonly CausalModel _model;
    private readonly Dictionary<string, Action<ReadOnlySpanAction>> _sources = new(StringComparer.Ordinal);
    private readonly List<MergedTensor> _tensors = [];

    /// <summary>Looks at the model's adapter.</summary>
    /// <param name="model">A loaded model with an adapter.</param>
    /// <exception cref="AdapterException">The adapter cannot be merged: it puts a bias on a layer that has none.</exception>
    public AdapterMerger(CausalModel model)
    {
        _model = model;
        Matrix($"{model.Embedding.Name}.weight", model.Embedding.Weight, model.Embedding.Trained, null);
        foreach (var layer in model.Layers)
        {
            foreach (var linear in layer.Linears) Linear(linear);
            foreach (var norm in layer.Norms) Norm(norm);
        }
        Norm(model.FinalNorm);
        // A head of its own, or one that training took apart from the embedding.
        TiedEmbeddings = model.Config.TiedEmbeddings && model.Head.Adapter is null && model.Embedding.Trained == model.Head.TrainedWeight;
        if (!TiedEmbeddings) Linear(model.Head);
    }

    /// <summary>Every tensor of the merged model, in module order.</summary>
    public IReadOnlyList<MergedTensor> Tensors => _tensors;

    /// <summary>What tie_word_embeddings of the merged config must say: an adapter that trains head or embedding unties them.</summary>
    public bool TiedEmbeddings { get; }

    /// <summary>Shows one merged tensor as float32, in row order, in parts of some million values.</summary>
    /// <param name="tensor">One of <see cref="Tensors"/>.</param>
    /// <param name="visit">Gets each part; it is valid during the call only.</param>
    public void Read(MergedTensor tensor, ReadOnlySpanAction visit) => _sources[tensor.Name](visit);

    private void Linear(LinearModule linear)
    {
        Matrix($"{linear.Name}.weight", linear.Weight, linear.TrainedWeight, linear.Adapter);
        var extra = linear.Adapter?.BiasB;
        if (linear.Bias is null)
        {
            if (extra is not null) throw new AdapterException($"the adapter puts a bias on '{linear.Name}', which has none in the base, so it cannot be merged; use it unmerged or train without lora_bias");
            return;
        }
        Add($"{linear.Name}.bias", [linear.OutFeatures], linear.TrainedBias is not null || extra is not null, visit =>
        {
            using var scope = NewDisposeScope();
            using var quiet = no_grad();
            var bias = linear.TrainedBias is { } trained ? _model.Parameters.Value(trained) : linear.Bias;
            // DoRA rescales what the adapter adds, its bias too.
            if (extra is not null)
            {
                var added = _model.Parameters.Value(extra) * linear.Adapter!.Scale;
                if (linear.Adapter.Magnitude is { } magnitude) added = added * (_model.Parameters.Value(magnitude) / tensor(Norms(linear)).to(bias.device));
                bias = bias + added;
            }
            visit(bias.detach().cpu().data<float>().ToArray());
        });
    }

    private void Norm(NormModule norm) => Add($"{norm.Name}.weight", [norm.Weight.NumberOfElements], norm.Trained is not null, visit =>
    {
        using var scope = NewDisposeScope();
        var values = norm.Trained is { } trained ? _model.Parameters.Value(trained) : norm.Weight;
        visit(values.detach().cpu().data<float>().ToArray());
    });

    private void Matrix(string name, IFrozenWeight weight, ParameterEntry? trained, LinearAdapter? adapter) => Add(name, [weight.Rows, weight.Columns], trained is not null || adapter is not null, visit =>
    {
        if (trained is not null) _model.Parameters.Read(trained, visit);
        else Parts(weight, adapter, (_, part) => visit(part));
    });

    private void Add(string name, long[] shape, bool isChanged, Action<ReadOnlySpanAction> source)
    {
        _tensors.Add(new MergedTensor(name, shape, isChanged));
        _sources[name] = source;
    }

    private float[] Norms(LinearModule linear)
    {
        var norms = new float[linear.OutFeatures];
        var adapter = linear.Adapter!;
        Parts(linear.Weight, new LinearAdapter { Rank = adapter.Rank, Scale = adapter.Scale, Alpha = adapter.Alpha, Index = adapter.Index, A = adapter.A, B = adapter.B }, (begin, part) =>
        {
            for (var r = 0; r < part.Length / linear.InFeatures; r++)
                norms[begin + r] = (float)RowNorm(part.Slice(r * (int)linear.InFeatures, (int)linear.InFeatures));
        });
        return norms;
    }

    private delegate void RowsAction(long begin, ReadOnlySpan<float> rows);

    private void Parts(IFrozenWeight weight, LinearAdapter? adapter, RowsAction visit)
    {
        var columns = (int)weight.Columns;
        var rows = Math.Clamp(PartFloats / columns, 1, weight.Rows);
        var part = new float[rows * columns];
        for (long begin = 0; begin < weight.Rows; begin += rows)
        {
            var count = Math.Min(rows, weight.Rows - begin);
            var values = part.AsSpan(0, (int)count * columns);
            weight.Materialize(begin, count, values);
            if (adapter is not null) Update(values, adapter, begin, count, columns);
            visit(begin, values);
        }
    }

    private void Update(Span<float> values, LinearAdapter adapter, long begin, long count, int columns)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var parameters = _model.Parameters;
        var product = (parameters.Value(adapter.B).narrow(0, begin, count).matmul(parameters.Value(adapter.A)) * adapter.Scale).cpu().data<float>().ToArray();
        for (var i = 0; i < values.Length; i++) values[i] += product[i];
        if (adapter.Magnitude is not { } magnitude) return;
        var lengths = parameters.Value(magnitude).detach().cpu().data<float>().ToArray();
        for (var r = 0; r < count; r++)
        {
            var row = values.Slice(r * columns, columns);
            var ratio = (float)(lengths[begin + r] / RowNorm(row));
            foreach (ref var value in row) value *= ratio;
        }
    }

    private static double RowNorm(ReadOnlySpan<float> row)
    {
        double sum = 0;
        foreach (var value in row) sum += (double)value * value;
        return Math.Sqrt(sum);
    }
}
