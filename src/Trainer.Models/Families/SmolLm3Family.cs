namespace Trainer.Models;

/// <summary>SmolLM 3: Llama in which some layers have no rotary embedding.</summary>
internal static class SmolLm3Family
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = FamilyBase.Common(reader, type, kvHeadsRequired: true, tied: true);
        var bias = reader.Bool("attention_bias");
        var interval = reader.Int("no_rope_layer_interval", 4);
        // Mind the name: 1 means that the layer has the rotary embedding.
        var hasRope = reader.Numbers("no_rope_layers")?.Select(value => value != 0).ToList()
            ?? [.. Enumerable.Range(0, config.LayerCount).Select(l => (l + 1) % interval != 0)];
        if (hasRope.Count != config.LayerCount) throw reader.Fault("no_rope_layers", $"has {hasRope.Count} entries for {config.LayerCount} layers");
        var window = reader.Bool("use_sliding_window") ? reader.IntOrNull("sliding_window") : null;
        var layers = window is null
            ? config.Layers
            : FamilyBase.Windows(reader, config.LayerCount, window, l => !hasRope[l]);
        return config with
        {
            QkvBias = bias,
            OutputBias = bias,
            MlpBias = reader.Bool("mlp_bias"),
            Ropes = [RopeReader.Read(reader, config.HeadSize, 2_000_000)],
            Layers = [.. layers.Select((layer, l) => layer with { Rope = hasRope[l] ? 0 : -1 })],
        };
    }
}
