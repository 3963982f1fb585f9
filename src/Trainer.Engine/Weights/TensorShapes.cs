namespace Trainer.Engine;

/// <summary>Names and shapes of a model's tensors, as its folder must hold them (in full precision).</summary>
public static class TensorShapes
{
    /// <summary>Every tensor, in module order; the head only where it is not tied.</summary>
    /// <param name="config">The model.</param>
    public static IReadOnlyList<(string Name, long[] Shape)> Of(ModelConfig config)
    {
        var list = new List<(string, long[])> { ("model.embed_tokens.weight", [config.VocabularySize, config.HiddenSize]) };
        long query = config.Heads * config.HeadSize, kv = config.KvHeads * config.HeadSize, hidden = config.HiddenSize, wide = config.IntermediateSize;
        for (var l = 0; l < config.LayerCount; l++)
        {
            var path = $"model.layers.{l}.";
            void Linear(string name, long outFeatures, long inFeatures, bool bias)
            {
                list.Add(($"{path}{name}.weight", [outFeatures, inFeatures]));
                if (bias) list.Add(($"{path}{name}.bias", [outFeatures]));
            }
            if (config.FusedProjections)
            {
                Linear("self_attn.qkv_proj", query + 2 * kv, hidden, config.QkvBias);
            }
            else
            {
                Linear("self_attn.q_proj", query, hidden, config.QkvBias);
                Linear("self_attn.k_proj", kv, hidden, config.QkvBias);
                Linear("self_attn.v_proj", kv, hidden, config.QkvBias);
            }
            Linear("self_attn.o_proj", hidden, query, config.OutputBias);
            if (config.QkNorm != QkNorm.None)
            {
                var perHead = config.QkNorm == QkNorm.PerHead;
                list.Add(($"{path}self_attn.q_norm.weight", [perHead ? config.HeadSize : query]));
                list.Add(($"{path}self_attn.k_norm.weight", [perHead ? config.HeadSize : kv]));
            }
            if (config.FusedProjections)
            {
                Linear("mlp.gate_up_proj", 2 * wide, hidden, config.MlpBias);
            }
            else
            {
                Linear("mlp.gate_proj", wide, hidden, config.MlpBias);
                Linear("mlp.up_proj", wide, hidden, config.MlpBias);
            }
            Linear("mlp.down_proj", hidden, wide, config.MlpBias);
            foreach (var norm in new[] { config.Norms.BeforeAttention, config.Norms.AfterAttention, config.Norms.BeforeMlp, config.Norms.AfterMlp })
                if (norm is not null) list.Add(($"{path}{norm}.weight", [hidden]));
        }
        list.Add(("model.norm.weight", [hidden]));
        if (!config.TiedEmbeddings) list.Add(("lm_head.weight", [config.VocabularySize, config.HiddenSize]));
        return list;
    }
}
