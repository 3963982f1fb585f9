namespace Trainer.Models.Drawing;

/// <summary>The modules of one layer, part by part.</summary>
internal static class LayerBlueprint
{
    /// <summary>The linears in the order PEFT visits them, then the norms.</summary>
    public static IReadOnlyList<ModuleBlueprint> Of(ModelConfig config, int layer)
    {
        var part = new Part($"model.layers.{layer}", layer);
        return [.. Attention(config, part), .. FeedForward(config, part), .. Norms(config, part)];
    }

    private static IEnumerable<ModuleBlueprint> Attention(ModelConfig config, Part part)
    {
        long query = (long)config.Heads * config.HeadSize, kv = (long)config.KvHeads * config.HeadSize, hidden = config.HiddenSize;
        if (config.FusedProjections)
        {
            yield return part.Linear("self_attn.qkv_proj", ModuleRole.Qkv, query + 2 * kv, hidden, config.QkvBias);
        }
        else
        {
            yield return part.Linear("self_attn.q_proj", ModuleRole.Query, query, hidden, config.QkvBias);
            yield return part.Linear("self_attn.k_proj", ModuleRole.Key, kv, hidden, config.QkvBias);
            yield return part.Linear("self_attn.v_proj", ModuleRole.Value, kv, hidden, config.QkvBias);
        }
        yield return part.Linear("self_attn.o_proj", ModuleRole.Output, hidden, query, config.OutputBias);
    }

    private static IEnumerable<ModuleBlueprint> FeedForward(ModelConfig config, Part part)
    {
        long hidden = config.HiddenSize, wide = config.IntermediateSize;
        if (config.FusedProjections)
        {
            yield return part.Linear("mlp.gate_up_proj", ModuleRole.GateUp, 2 * wide, hidden, config.MlpBias);
        }
        else
        {
            yield return part.Linear("mlp.gate_proj", ModuleRole.Gate, wide, hidden, config.MlpBias);
            yield return part.Linear("mlp.up_proj", ModuleRole.Up, wide, hidden, config.MlpBias);
        }
        yield return part.Linear("mlp.down_proj", ModuleRole.Down, hidden, wide, config.MlpBias);
    }

    private static IEnumerable<ModuleBlueprint> Norms(ModelConfig config, Part part)
    {
        (string? Name, ModuleRole Role)[] blocks =
        [
            (config.Norms.BeforeAttention, ModuleRole.BeforeAttention), (config.Norms.AfterAttention, ModuleRole.AfterAttention),
            (config.Norms.BeforeMlp, ModuleRole.BeforeMlp), (config.Norms.AfterMlp, ModuleRole.AfterMlp),
        ];
        foreach (var (name, role) in blocks)
            if (name is not null) yield return part.Norm(name, role, config.HiddenSize);
        if (config.QkNorm == QkNorm.None) yield break;
        var isPerHead = config.QkNorm == QkNorm.PerHead;
        yield return part.Norm("self_attn.q_norm", ModuleRole.QueryNorm, config.HeadSize * (isPerHead ? 1L : config.Heads));
        yield return part.Norm("self_attn.k_norm", ModuleRole.KeyNorm, config.HeadSize * (isPerHead ? 1L : config.KvHeads));
    }

    // Where the modules of a layer lie.
    private readonly record struct Part(string Path, int Layer)
    {
        public ModuleBlueprint Linear(string name, ModuleRole role, long rows, long columns, bool bias) =>
            new($"{Path}.{name}", ModuleKind.Linear, role, Layer, rows, columns, bias);

        public ModuleBlueprint Norm(string name, ModuleRole role, long width) => new($"{Path}.{name}", ModuleKind.Norm, role, Layer, width, 1);
    }
}
