using Trainer.Engine.Weights;
using Trainer.Models.Drawing;
using Trainer.Models.Parts;

namespace Trainer.Engine;

/// <summary>The token embedding.</summary>
public sealed class EmbeddingModule
{
    internal EmbeddingModule(ModuleBlueprint blueprint, IFrozenWeight weight)
    {
        Blueprint = blueprint;
        Weight = weight;
    }

    /// <summary>What it is.</summary>
    public ModuleBlueprint Blueprint { get; }

    /// <summary>Module path, <c>model.embed_tokens</c>.</summary>
    public string Name => Blueprint.Path;

    /// <summary>The frozen table [vocabulary, hidden].</summary>
    public IFrozenWeight Weight { get; }

    /// <summary>A trained copy which replaces <see cref="Weight"/>, or null.</summary>
    public ParameterEntry? Trained { get; private set; }

    /// <summary>The adapter, or null.</summary>
    public EmbeddingAdapter? Adapter { get; private set; }

    /// <summary>Rows of some tokens that are trained, or null.</summary>
    public TokenRows? Rows { get; private set; }

    internal void Attach(TrainedModule? trained, ParameterBuffer parameters)
    {
        Adapter = trained?.Update is { } update ? EmbeddingAdapter.Of(update, parameters) : null;
        (Trained, Rows) = (parameters.Find(trained?.Weight), TokenRows.Of(trained, parameters));
    }

    /// <summary>Euclidean norm of each column of the frozen table, length hidden: DoRA's first magnitudes.</summary>
    public unsafe float[] ColumnNorms()
    {
        var squares = new double[Weight.Columns];
        var rows = Math.Clamp((1 << 22) / Weight.Columns, 1, Weight.Rows);
        var part = new float[rows * Weight.Columns];
        for (long begin = 0; begin < Weight.Rows; begin += rows)
        {
            var count = Math.Min(rows, Weight.Rows - begin);
            fixed (float* scratch = part) Weight.Materialize(begin, count, scratch);
            for (var i = 0; i < count * Weight.Columns; i++) squares[i % Weight.Columns] += (double)part[i] * part[i];
        }
        return [.. squares.Select(sum => (float)Math.Sqrt(sum))];
    }
}
