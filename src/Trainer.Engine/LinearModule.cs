using TorchSharp;
using Trainer.Engine.Weights;
using Trainer.Models.Drawing;
using Trainer.Models.Parts;

namespace Trainer.Engine;

/// <summary>One linear layer of the model: a frozen matrix, perhaps a bias, perhaps an adapter or trained copies.</summary>
public sealed class LinearModule
{
    internal LinearModule(ModuleBlueprint blueprint, IFrozenWeight weight, torch.Tensor? bias)
    {
        Blueprint = blueprint;
        Weight = weight;
        Bias = bias;
        InFeatures = weight.Columns;
        OutFeatures = weight.Rows;
    }

    /// <summary>What it is.</summary>
    public ModuleBlueprint Blueprint { get; }

    /// <summary>Module path, e.g. <c>model.layers.0.self_attn.q_proj</c>; <c>lm_head</c> for the head.</summary>
    public string Name => Blueprint.Path;

    /// <summary>Zero-based layer, or -1 for the head.</summary>
    public int Layer => Blueprint.Layer;

    /// <summary>Columns of the matrix.</summary>
    public long InFeatures { get; }

    /// <summary>Rows of the matrix.</summary>
    public long OutFeatures { get; }

    /// <summary>The frozen matrix [out, in].</summary>
    public IFrozenWeight Weight { get; }

    /// <summary>The frozen bias [out], float32, or null. Owned by the model.</summary>
    public torch.Tensor? Bias { get; }

    /// <summary>The adapter, or null.</summary>
    public LinearAdapter? Adapter { get; private set; }

    /// <summary>A trained copy of the whole matrix which replaces <see cref="Weight"/>, or null.</summary>
    public ParameterEntry? TrainedWeight { get; private set; }

    /// <summary>A trained copy of the bias which replaces <see cref="Bias"/>, or null.</summary>
    public ParameterEntry? TrainedBias { get; private set; }

    /// <summary>Rows of some tokens that are trained, or null; the head alone has such.</summary>
    public TokenRows? Rows { get; private set; }

    internal void Attach(TrainedModule? trained, ParameterBuffer parameters)
    {
        Adapter = trained?.Update is { } update ? LinearAdapter.Of(update, parameters) : null;
        (TrainedWeight, TrainedBias, Rows) = (parameters.Find(trained?.Weight), parameters.Find(trained?.Bias), TokenRows.Of(trained, parameters));
    }

    /// <summary>Euclidean norm of each row of the frozen matrix, length out: DoRA's first magnitudes.</summary>
    public unsafe float[] RowNorms()
    {
        var norms = new float[OutFeatures];
        var rows = Math.Clamp((1 << 22) / InFeatures, 1, OutFeatures);
        var part = new float[rows * InFeatures];
        for (long begin = 0; begin < OutFeatures; begin += rows)
        {
            var count = Math.Min(rows, OutFeatures - begin);
            fixed (float* scratch = part) Weight.Materialize(begin, count, scratch);
            for (long r = 0; r < count; r++)
            {
                double sum = 0;
                foreach (var value in part.AsSpan((int)(r * InFeatures), (int)InFeatures)) sum += (double)value * value;
                norms[begin + r] = (float)Math.Sqrt(sum);
            }
        }
        return norms;
    }

    /// <summary>The frozen weight as float32, row-major [out, in].</summary>
    public unsafe float[] WeightValues()
    {
        var values = new float[OutFeatures * InFeatures];
        fixed (float* target = values) Weight.Materialize(0, OutFeatures, target);
        return values;
    }
}
