using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Engine.Gguf;

/// <summary>Multipliers of Falcon H1, for which llama.cpp has no keys: its converter multiplies them into the rows of the weights.</summary>
public static class GgufMultipliers
{
    /// <summary>The multiplier of each row of a module's weight, or null where all are 1.</summary>
    /// <param name="config">The model.</param>
    /// <param name="module">One of its modules.</param>
    public static float[]? OfRows(ModelConfig config, ModuleBlueprint module)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(module);
        if (config.ModelType != "falcon_h1") return null;
        if (module.Role == ModuleRole.Embedding) return Same(module, config.EmbeddingMultiplier);
        if (module.Role == ModuleRole.Head) return Head(config, module);
        if (module.Layer < 0 || config.Layers[module.Layer].Mixer is not SideBySide both) return null;
        var dense = (DenseFeedForward)config.Layers[module.Layer].FeedForward;
        return module.Role switch
        {
            ModuleRole.Query or ModuleRole.Value => Same(module, both.AttentionInput),
            ModuleRole.Key => Same(module, both.AttentionInput * both.Attention.KeyMultiplier),
            ModuleRole.Output => Same(module, both.AttentionOutput),
            ModuleRole.Gate => Same(module, dense.GateMultiplier),
            ModuleRole.Down => Same(module, dense.DownMultiplier),
            _ => module.PathInLayer switch
            {
                "mamba.in_proj" => Parts(both.Mamba, module),
                "mamba.out_proj" => Same(module, both.MambaOutput),
                _ => null,
            },
        };
    }

    /// <summary>Those of the head, which may be the embedding's table.</summary>
    public static float[]? Head(ModelConfig config, ModuleBlueprint table)
    {
        ArgumentNullException.ThrowIfNull(config);
        return Same(table, 1 / config.LogitDivisor);
    }

    private static float[]? Same(ModuleBlueprint module, double multiplier)
    {
        ArgumentNullException.ThrowIfNull(module);
        if (Math.Abs(multiplier - 1) < 1e-12) return null;
        var all = new float[module.Rows];
        Array.Fill(all, (float)multiplier);
        return all;
    }

    private static float[]? Parts(Mamba2 mamba, ModuleBlueprint module)
    {
        if (mamba.PartMultipliers is not { } parts) return Same(module, mamba.InputMultiplier);
        int[] sizes = [mamba.Inner, mamba.Inner, mamba.Groups * mamba.StateSize, mamba.Groups * mamba.StateSize, mamba.Heads];
        return [.. sizes.SelectMany((size, part) => Enumerable.Repeat((float)(mamba.InputMultiplier * parts[part]), size))];
    }
}
