namespace Trainer.Models.Parts;

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

    /// <summary>What a norm computes; null of other modules.</summary>
    public NormConfig? Norm { get; init; }

    /// <summary>The rows of a norm's weight are tensors of their own, <c>PATH.ROW.weight</c>.</summary>
    public bool IsStoredByRow { get; init; }

    /// <summary>Shape of a parameter, empty for a single number; null of other modules.</summary>
    public long[]? ParameterShape { get; init; }

    /// <summary>The block that experts belong to; null of other modules. Rows are then experts, columns the elements of one.</summary>
    public ExpertFeedForward? Experts { get; init; }

    /// <summary>Input features of experts.</summary>
    public int ExpertColumns { get; init; }

    /// <summary>The last part of its path, e.g. <c>q_proj</c>.</summary>
    public string Name => Path[(Path.LastIndexOf('.') + 1)..];

    /// <summary>Its path below its layer, e.g. <c>mlp.down_proj</c>; the whole path outside the layers.</summary>
    public string PathInLayer => Layer < 0 ? Path : Path[(Path.IndexOf(LayerMark, StringComparison.Ordinal) + LayerMark.Length)..];

    private string LayerMark => $".layers.{Layer}.";

    /// <summary>Name of its weight in the model folder.</summary>
    public string WeightName => Kind == ModuleKind.Parameter ? StoredPath : StoredPath + ".weight";

    /// <summary>Name of its bias in the model folder.</summary>
    public string BiasName => StoredPath + ".bias";

    /// <summary>Shape of its weight in full precision.</summary>
    public long[] Shape => ParameterShape ?? (Kind == ModuleKind.Norm && Columns == 1 ? [Rows] : [Rows, Columns]);

    /// <summary>Elements of its weight.</summary>
    public long WeightCount => Rows * Columns;

    /// <summary>Parameters, the bias among them.</summary>
    public long ParameterCount => Experts is not null
        ? Tensors.Sum(tensor => tensor.Shape.Aggregate(1L, (product, side) => product * side))
        : WeightCount + (HasBias ? Kind == ModuleKind.Norm ? WeightCount : Rows : 0);

    /// <summary>Its tensors in the model folder, in full precision.</summary>
    public IEnumerable<(string Name, long[] Shape)> Tensors
    {
        get
        {
            if (Experts is not null)
            {
                foreach (var tensor in ExpertTensors.Fused(this)) yield return tensor;
                yield break;
            }
            for (var row = 0; IsStoredByRow && row < Rows; row++) yield return ($"{StoredPath}.{row}.weight", [Columns]);
            if (!IsStoredByRow) yield return (WeightName, Shape);
            if (HasBias) yield return (BiasName, [Rows]);
        }
    }
}
