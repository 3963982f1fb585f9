using Trainer.Models;
using Trainer.Models.Config;
using Trainer.Models.Drawing;
using Trainer.Models.Parts;

namespace Trainer.Engine.Gguf;

/// <summary>What happens to a value on its way into a GGUF file.</summary>
internal enum GgufChange
{
    /// <summary>Nothing.</summary>
    None,
    /// <summary>One is added: norms that a folder stores without it.</summary>
    PlusOne,
    /// <summary>x becomes -exp(x): the decay of a gated delta rule.</summary>
    MinusExp,
}

/// <summary>A tensor of a GGUF file and where it lies in a model folder, for both ways.</summary>
/// <param name="Name">Name in the file.</param>
/// <param name="Module">The module it belongs to.</param>
/// <param name="Tensor">Name in the folder's module tree; of experts the module's path, their layout is the folder's own matter.</param>
/// <param name="Shape">Sides in the file, the outermost first.</param>
internal sealed record GgufPlace(string Name, ModuleBlueprint Module, string Tensor, long[] Shape)
{
    /// <summary>The folder's row for each row of the file, or null where they are the same. A vector's elements count as rows.</summary>
    public int[]? Rows { get; init; }

    /// <summary>The folder's column for each column of the file, or null.</summary>
    public int[]? Columns { get; init; }

    /// <summary>What happens to each value.</summary>
    public GgufChange Change { get; init; }

    /// <summary>The matrix of all experts that it holds, or null of other tensors.</summary>
    public ExpertPart? Part { get; init; }

    /// <summary>It holds the experts' biases.</summary>
    public bool IsBias { get; init; }

    /// <summary>Stays in float32 whatever type the matrices get.</summary>
    public bool IsExact => Shape.Length == 1 || Module.Kind is ModuleKind.Parameter or ModuleKind.Norm || IsBias;

    /// <summary>Elements of a row that moves as a whole.</summary>
    public long RowLength => Shape.Length == 1 ? 1 : Shape[^1];

    /// <summary>The places of a model, in the order of its modules; a tied head has none.</summary>
    /// <exception cref="ModelException">A module has no place.</exception>
    public static IReadOnlyList<GgufPlace> Of(ModelConfig config)
    {
        var architecture = GgufArchitecture.Of(config.ModelType)!;
        return [.. DecoderBlueprint.Of(config).Stored.SelectMany(module => module.Kind == ModuleKind.Experts
            ? Experts(config, module) : Plain(config, architecture, module))];
    }

    /// <summary>The permutation that undoes one.</summary>
    public static int[] Inverse(int[] order)
    {
        var inverse = new int[order.Length];
        for (var i = 0; i < order.Length; i++) inverse[order[i]] = i;
        return inverse;
    }

    private static IEnumerable<GgufPlace> Plain(ModelConfig config, GgufArchitecture architecture, ModuleBlueprint module)
    {
        foreach (var (tensor, shape) in module.Tensors)
        {
            var name = architecture.TensorOf(module, tensor == module.BiasName)
                ?? throw new ModelException($"tensor '{tensor}' has no place in a GGUF file of this family; convert it with llama.cpp");
            yield return new GgufPlace(name, module, tensor, Squeezed(module, shape))
            {
                Rows = GgufOrder.OfRows(config, module),
                Columns = GgufOrder.OfColumns(config, module),
                Change = module.Norm is { WeightPlusOne: true } && tensor == module.WeightName
                    ? GgufChange.PlusOne : module.Name == "A_log" ? GgufChange.MinusExp : GgufChange.None,
            };
        }
    }

    // A gate with one output is a vector there, taps have no side of one.
    private static long[] Squeezed(ModuleBlueprint module, long[] shape)
        => module.Name == "shared_expert_gate" || shape.Length == 3 ? [.. shape.Where(side => side != 1)] : shape;

    private static IEnumerable<GgufPlace> Experts(ModelConfig config, ModuleBlueprint module)
    {
        var block = module.Experts!;
        long count = block.Experts, wide = block.Width, hidden = module.ExpertColumns;
        foreach (var tensor in GgufExpertTensor.Of(config, module))
            yield return new GgufPlace(tensor.Name, module, module.StoredPath, tensor.Shape) { Part = tensor.Part };
        if (!block.IsClamped) yield break;
        foreach (var (name, part, rows) in new[] { ("ffn_gate_exps", ExpertPart.Gate, wide), ("ffn_up_exps", ExpertPart.Up, wide),
            ("ffn_down_exps", ExpertPart.Down, hidden) })
            yield return new GgufPlace($"blk.{module.Layer}.{name}.bias", module, module.StoredPath, [count, rows]) { Part = part, IsBias = true };
    }
}
