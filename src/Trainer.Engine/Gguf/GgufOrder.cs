using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Engine.Gguf;

/// <summary>Orders in which llama.cpp has rows and columns that a model folder has otherwise; an adapter's rows of B and columns of A follow the
/// weight's.</summary>
public static class GgufOrder
{
    /// <summary>The folder's row for each row of the file: of rotated heads in pairs, of value heads by turns; null where they are the same.</summary>
    /// <param name="config">The model.</param>
    /// <param name="module">One of its modules.</param>
    public static int[]? OfRows(ModelConfig config, ModuleBlueprint module)
    {
        var isPaired = GgufArchitecture.Of(config) is { IsPermuted: true } && module.Role is ModuleRole.Query or ModuleRole.Key;
        if (isPaired) return GgufPlace.Inverse([.. Enumerable.Range(0, (int)module.Rows).Select(row => (int)RotaryOrder.Interleaved(row, config.HeadSize))]);
        return module.Path.Contains(".linear_attn.", StringComparison.Ordinal) && config.Layers[module.Layer].Mixer is GatedDelta { IsPacked: false } delta
            ? ValueHeads(delta, module.Name == "weight" ? "conv1d" : module.Name, (int)module.Shape[0]) : null;
    }

    /// <summary>The same of its columns.</summary>
    /// <param name="config">The model.</param>
    /// <param name="module">One of its modules.</param>
    public static int[]? OfColumns(ModelConfig config, ModuleBlueprint module) =>
        module.Path.EndsWith(".linear_attn.out_proj", StringComparison.Ordinal)
        && config.Layers[module.Layer].Mixer is GatedDelta { IsPacked: false } delta
        ? Turns(delta, 0, delta.ValueSize, (int)module.Columns) : null;

    private static int[]? ValueHeads(GatedDelta delta, string name, int rows) => name switch
    {
        "in_proj_qkv" or "conv1d" => Turns(delta, 2 * delta.KeyHeads * delta.KeySize, delta.ValueSize, rows),
        "in_proj_z" => Turns(delta, 0, delta.ValueSize, rows),
        "in_proj_a" or "in_proj_b" or "A_log" or "dt_bias" => Turns(delta, 0, 1, rows),
        _ => null,
    };

    // A folder has the value heads of a key head together, a file the first of each key head, then the second of each.
    private static int[]? Turns(GatedDelta delta, int begin, int size, int all)
    {
        var (keys, each) = (delta.KeyHeads, delta.ValueHeads / delta.KeyHeads);
        if (each == 1) return null;
        var order = Enumerable.Range(0, all).ToArray();
        for (var place = 0; place < delta.ValueHeads; place++)
            for (var i = 0; i < size; i++) order[begin + place * size + i] = begin + ((place % keys) * each + place / keys) * size + i;
        return order;
    }
}
