using Trainer.Models.Config;

namespace Trainer.Models.Families;

/// <summary>SmolLM 3: Llama in which some layers have no rotary embedding.</summary>
internal static class SmolLm3Family
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = LlamaFamily.Describe(reader, type, new FamilyDefaults { KvHeadsRequired = true, Tied = true, Theta = 2_000_000 });
        var hasRope = HasRope(reader, config.LayerCount, reader.Positive("no_rope_layer_interval", 4));
        var window = reader.Bool("use_sliding_window") ? reader.PositiveOrNull("sliding_window") : null;
        if (window is not null) config = config.WithWindows(reader, window, l => !hasRope[l]);
        return config.WithAttention((attention, l) => attention with { Rope = hasRope[l] ? 0 : -1 });
    }

    /// <summary>no_rope_layers, in which 1 means, mind the name, that the layer has the rotary embedding; where it is absent every interval-th layer has
    /// none.</summary>
    public static IReadOnlyList<bool> HasRope(ConfigReader reader, int layers, int interval)
    {
        IReadOnlyList<bool> given = reader.Numbers("no_rope_layers") is { Count: > 0 } numbers
            ? [.. numbers.Select(value => value != 0)] : [.. Enumerable.Range(0, layers).Select(l => (l + 1) % interval != 0)];
        return given.Count == layers ? given : throw reader.Fault("no_rope_layers", $"has {given.Count} entries for {layers} layers");
    }
}
