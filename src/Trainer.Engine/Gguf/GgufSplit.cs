using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Engine.Gguf;

/// <summary>A part of a folder's matrix that is a tensor of its own in a GGUF file.</summary>
/// <param name="Name">Name in the file, with its layer and ending.</param>
/// <param name="Rows">The folder's row for each row of the file.</param>
/// <param name="Shape">Sides in the file.</param>
public sealed record GgufSplit(string Name, int[] Rows, long[] Shape)
{
    /// <summary>Rows of a block that lies transposed in the file, [columns, rows] for [rows, columns]; 0 where none does.</summary>
    public int TurnedRows { get; init; }

    /// <summary>The parts of a matrix, or none where it is one tensor of the file.</summary>
    /// <param name="config">The model.</param>
    /// <param name="module">One of its linears.</param>
    public static IReadOnlyList<GgufSplit> Of(ModelConfig config, ModuleBlueprint module)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(module);
        if (module.Kind != ModuleKind.Linear || module.Layer < 0) return [];
        var layer = config.Layers[module.Layer];
        return (module.PathInLayer, layer.Mixer) switch
        {
            ("linear_attn.in_proj_qkvz", GatedDelta delta) => Packed(delta, module),
            ("self_attn.kv_b_proj", LatentAttention latent) => Latent(latent, module),
            ("shared_mlp.input_linear", _) => Halves(layer.FeedForward is ExpertFeedForward ? "_shexp" : "", module),
            _ => [],
        };
    }

    // Key head by key head a folder has its query, key, values and gates; a file has all queries, keys and values, and all gates.
    private static List<GgufSplit> Packed(GatedDelta delta, ModuleBlueprint module)
    {
        int keys = delta.KeyHeads, size = delta.KeySize, values = delta.ValueHeads / keys * delta.ValueSize, all = 2 * size + 2 * values;
        IEnumerable<int> Taken(int begin, int count) =>
            Enumerable.Range(0, keys).SelectMany(head => Enumerable.Range(head * all + begin, count));
        int[] mixed = [.. Taken(0, size), .. Taken(size, size), .. Taken(2 * size, values)], gates = [.. Taken(2 * size + values, values)];
        return [Whole(module, "attn_qkv", mixed), Whole(module, "attn_gate", gates)];
    }

    // Head by head a folder has what keys and what values take from the latent; a file has the first turned, to multiply queries with.
    private static List<GgufSplit> Latent(LatentAttention latent, ModuleBlueprint module)
    {
        int plain = latent.PlainSize, value = latent.ValueSize;
        int[] Taken(int begin, int count) =>
            [.. Enumerable.Range(0, latent.Heads).SelectMany(head => Enumerable.Range(head * (plain + value) + begin, count))];
        return
        [
            new(Named(module, "attn_k_b"), Taken(0, plain), [latent.Heads, latent.KvRank, plain]) { TurnedRows = plain },
            new(Named(module, "attn_v_b"), Taken(plain, value), [latent.Heads, value, latent.KvRank]),
        ];
    }

    private static List<GgufSplit> Halves(string ending, ModuleBlueprint module)
    {
        var half = (int)module.Rows / 2;
        return [Whole(module, "ffn_gate" + ending, [.. Enumerable.Range(0, half)]), Whole(module, "ffn_up" + ending, [.. Enumerable.Range(half, half)])];
    }

    private static GgufSplit Whole(ModuleBlueprint module, string name, int[] rows) => new(Named(module, name), rows, [rows.Length, module.Columns]);

    private static string Named(ModuleBlueprint module, string name) => GgufArchitecture.Below(module, name) + ".weight";
}
