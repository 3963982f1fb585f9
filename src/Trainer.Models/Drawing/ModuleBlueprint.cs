namespace Trainer.Models.Drawing;

/// <summary>One module of a decoder, known before any weight is read.</summary>
/// <param name="Path">Module path as PEFT names it, e.g. <c>model.layers.0.self_attn.q_proj</c>.</param>
/// <param name="Kind">What it holds.</param>
/// <param name="Role">Its place.</param>
/// <param name="Layer">Zero-based layer, or -1 outside the layers.</param>
/// <param name="Rows">Output features; the width of a norm.</param>
/// <param name="Columns">Input features; 1 of a norm.</param>
/// <param name="HasBias">Whether a bias [rows] belongs to it.</param>
public sealed record ModuleBlueprint(string Path, ModuleKind Kind, ModuleRole Role, int Layer, long Rows, long Columns, bool HasBias = false)
{
    /// <summary>Its path in the files of the model folder, where that is another than <see cref="Path"/>.</summary>
    public string StoredPath { get; init; } = Path;

    /// <summary>The last part of its path, e.g. <c>q_proj</c>.</summary>
    public string Name => Path[(Path.LastIndexOf('.') + 1)..];

    /// <summary>Name of its weight in the model folder.</summary>
    public string WeightName => StoredPath + ".weight";

    /// <summary>Name of its bias in the model folder.</summary>
    public string BiasName => StoredPath + ".bias";

    /// <summary>Shape of its weight in full precision.</summary>
    public long[] Shape => Kind == ModuleKind.Norm ? [Rows] : [Rows, Columns];

    /// <summary>Elements of its weight.</summary>
    public long WeightCount => Rows * Columns;

    /// <summary>Parameters, the bias among them.</summary>
    public long ParameterCount => WeightCount + (HasBias ? Rows : 0);

    /// <summary>Its tensors in the model folder, in full precision.</summary>
    public IEnumerable<(string Name, long[] Shape)> Tensors
    {
        get
        {
            yield return (WeightName, Shape);
            if (HasBias) yield return (BiasName, [Rows]);
        }
    }
}
