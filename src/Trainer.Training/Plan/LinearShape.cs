using Trainer.Engine;
using Trainer.Models;

namespace Trainer.Training;

/// <summary>One linear layer of a model that is known by its config.json alone.</summary>
/// <param name="Name">Module path.</param>
/// <param name="Layer">Zero-based layer.</param>
/// <param name="Out">Rows.</param>
/// <param name="In">Columns.</param>
internal readonly record struct LinearShape(string Name, int Layer, long Out, long In)
{
    public long Count => Out * In;

    public static List<LinearShape> Of(ModelConfig config)
    {
        var shapes = new List<LinearShape>();
        long query = (long)config.Heads * config.HeadSize, kv = (long)config.KvHeads * config.HeadSize, hidden = config.HiddenSize, wide = config.IntermediateSize;
        for (var layer = 0; layer < config.LayerCount; layer++)
        {
            void Add(string name, long rows, long columns) => shapes.Add(new LinearShape($"model.layers.{layer}.{name}", layer, rows, columns));
            if (config.FusedProjections)
            {
                Add("self_attn.qkv_proj", query + 2 * kv, hidden);
                Add("mlp.gate_up_proj", 2 * wide, hidden);
            }
            else
            {
                Add("self_attn.q_proj", query, hidden);
                Add("self_attn.k_proj", kv, hidden);
                Add("self_attn.v_proj", kv, hidden);
                Add("mlp.gate_proj", wide, hidden);
                Add("mlp.up_proj", wide, hidden);
            }
            Add("self_attn.o_proj", hidden, query);
            Add("mlp.down_proj", hidden, wide);
        }
        return shapes;
    }
}
