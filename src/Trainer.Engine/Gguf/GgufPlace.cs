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
    private const string SecondTableName = "embed_tokens_per_layer";

    /// <summary>The folder's row for each row of the file, or null where they are the same. A vector's elements count as rows.</summary>
    public int[]? Rows { get; init; }

    /// <summary>The folder's column for each column of the file, or null.</summary>
    public int[]? Columns { get; init; }

    /// <summary>The multiplier of each row of the file, or null.</summary>
    public float[]? Multipliers { get; init; }

    /// <summary>Rows of a block that lies transposed in the file; 0 where none does.</summary>
    public int TurnedRows { get; init; }

    /// <summary>Its place among tensors of the folder that are one in the file.</summary>
    public int Slot { get; init; }

    /// <summary>How many those are.</summary>
    public int Slots { get; init; } = 1;

    /// <summary>It is a part of the folder's tensor.</summary>
    public bool IsSplit { get; init; }

    /// <summary>What happens to each value.</summary>
    public GgufChange Change { get; init; }

    /// <summary>The matrix of all experts that it holds, or null of other tensors.</summary>
    public ExpertPart? Part { get; init; }

    /// <summary>It holds the experts' biases.</summary>
    public bool IsBias { get; init; }

    /// <summary>Stays in float32 whatever type the matrices get.</summary>
    public bool IsExact => Shape.Length == 1 || Module.Kind is ModuleKind.Parameter or ModuleKind.Norm || IsBias;

    /// <summary>Elements of a row of the folder that moves as a whole.</summary>
    public long RowLength => TurnedRows > 0 ? Shape[^2] : Shape.Length == 1 ? 1 : Shape[^1];

    /// <summary>Elements of its slot.</summary>
    public long Elements => Shape.Aggregate(1L, (product, side) => product * side) / Slots;

    /// <summary>The places of a model, in the order of its modules; a tied head has none.</summary>
    /// <exception cref="ModelException">A module has no place.</exception>
    public static IReadOnlyList<GgufPlace> Of(ModelConfig config)
    {
        var architecture = GgufArchitecture.Of(config)!;
        return [.. DecoderBlueprint.Of(config).Stored.SelectMany(module => module.Kind == ModuleKind.Experts
            ? Experts(config, module) : Plain(config, architecture, module))];
    }

    /// <summary>The head of a model that has none of its own and whose table goes into the file multiplied otherwise; or null.</summary>
    /// <param name="config">The model.</param>
    public static GgufPlace? OwnHead(ModelConfig config)
    {
        var table = DecoderBlueprint.Of(config).Stored.First(module => module.Role == ModuleRole.Embedding);
        if (!config.TiedEmbeddings || GgufMultipliers.OfRows(config, table) is not { } input) return null;
        var output = GgufMultipliers.Head(config, table);
        return output is not null && output[0] == input[0] ? null
            : new GgufPlace("output.weight", table, table.WeightName, table.Shape) { Multipliers = output };
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
        var multipliers = GgufMultipliers.OfRows(config, module);
        foreach (var split in GgufSplit.Of(config, module))
            yield return new GgufPlace(split.Name, module, module.WeightName, split.Shape) { Rows = split.Rows, TurnedRows = split.TurnedRows, IsSplit = true };
        if (GgufSplit.Of(config, module).Count > 0) yield break;
        var (slot, slots) = (0, module.IsStoredByRow ? (int)module.Rows : 1);
        foreach (var (tensor, shape) in module.Tensors)
        {
            if (Stack(config, module) is { } stack)
            {
                yield return new GgufPlace(stack.Name, module, tensor, [stack.Slots, .. shape]) { Slot = stack.Slot, Slots = stack.Slots };
                continue;
            }
            if (Activation(module)) continue;
            var name = architecture.TensorOf(module, tensor == module.BiasName)
                ?? throw new ModelException($"tensor '{tensor}' has no place in a GGUF file of this family; convert it with llama.cpp");
            yield return new GgufPlace(name, module, tensor, module.IsStoredByRow ? [slots, .. shape] : Sides(config, module, shape))
            {
                Slot = module.IsStoredByRow ? slot++ : 0,
                Slots = slots,
                Rows = SecondTable(config, module) ?? GgufOrder.OfRows(config, module),
                Columns = GgufOrder.OfColumns(config, module),
                Multipliers = multipliers,
                Change = module.Norm is { WeightPlusOne: true } && tensor == module.WeightName
                    ? GgufChange.PlusOne : module.Name == "A_log" ? GgufChange.MinusExp : GgufChange.None,
            };
        }
    }

    // Tokens beyond the second table take its first row; the file's has a row for each.
    private static int[]? SecondTable(ModelConfig config, ModuleBlueprint module) => module.Name == SecondTableName && module.Rows < config.VocabularySize
        ? [.. Enumerable.Range(0, config.VocabularySize).Select(row => row < module.Rows ? row : 0)] : null;

    // Projections between streams lie in one tensor.
    private static (string Name, int Slot, int Slots)? Stack(ModelConfig config, ModuleBlueprint module)
    {
        if (config.Streams is not { } streams || module.Layer >= 0) return null;
        if (module.Path[(config.TextPath.Length + 1)..].Split('.') is not [var name, var at]) return null;
        var slot = int.Parse(at, System.Globalization.CultureInfo.InvariantCulture);
        return name switch
        {
            "altup_projections" => ("altup_proj.weight", slot, streams.Count - 1),
            "altup_unembed_projections" => ("altup_unembd_proj.weight", slot, streams.Count - 1),
            _ => null,
        };
    }

    // The numbers of a learned activation are keys of the file.
    private static bool Activation(ModuleBlueprint module) => module.Path.Contains(".act_fn.", StringComparison.Ordinal);

    // A gate with one output is a vector there, taps have no side of one; decays and shares of a state-space mixer have one, its norm has its groups.
    private static long[] Sides(ModelConfig config, ModuleBlueprint module, long[] shape)
    {
        if (module.Name == SecondTableName) return [config.VocabularySize, shape[1]];
        if (module.Name == "shared_expert_gate" || shape.Length == 3) return [.. shape.Where(side => side != 1)];
        if (Mamba(config, module) is not { } mamba) return shape;
        return module.Name switch
        {
            "A_log" or "D" => [.. shape, 1],
            "norm" => [mamba.Groups, shape[0] / mamba.Groups],
            _ => shape,
        };
    }

    private static Mamba2? Mamba(ModelConfig config, ModuleBlueprint module)
    {
        if (module.Layer < 0) return null;
        var mixer = config.Layers[module.Layer].Mixer;
        return (mixer is SideBySide both ? both.Mamba : mixer as Mamba2) is { } mamba
            && module.PathInLayer.StartsWith(mamba.Path + ".", StringComparison.Ordinal) ? mamba : null;
    }

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
