using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Engine.Fast;

/// <summary>The sizes and constants of a decoder as the kernels take them.</summary>
internal sealed class FastShape(ModelConfig config)
{
    private readonly HeadShape?[] _heads = [.. config.Layers.Select(layer => HeadShape.Of(layer.Mixer))];
    private readonly HashSet<int> _sources = [.. config.Layers.Select(layer => layer.Attention?.KeysOfLayer).OfType<int>()];

    public int Hidden { get; } = config.HiddenSize;

    public int Vocabulary { get; } = config.VocabularySize;

    public int Layers { get; } = config.LayerCount;

    public bool Fused { get; } = config.FusedProjections;

    public float Epsilon { get; } = (float)config.NormEpsilon;

    public float UnitOffset { get; } = config.NormWeightPlusOne ? 1f : 0f;

    /// <summary>How queries of some layers grow with the position, or null.</summary>
    public QueryTemperature? Temperature { get; } =
        config.Layers.Select(layer => layer.Attention?.Temperature).FirstOrDefault(temperature => temperature is not null);

    /// <summary>Soft cap of logits, or null.</summary>
    public float? LogitCap { get; } = (float?)config.LogitSoftCap;

    public float ResidualMultiplier { get; } = (float)config.ResidualMultiplier;

    public float EmbeddingMultiplier { get; } = (float)config.EmbeddingMultiplier;

    public float LogitMultiplier { get; } = (float)(1 / config.LogitDivisor);

    /// <summary>The different heads of the layers that attend.</summary>
    public IEnumerable<HeadShape> AllHeads => _heads.OfType<HeadShape>().Distinct();

    /// <summary>The heads of a layer, or null where it does not attend.</summary>
    public HeadShape? HeadsOf(int layer) => _heads[layer];

    /// <summary>Whether a layer keeps keys and values of its own.</summary>
    public bool KeepsKeys(int layer) => _heads[layer] is not null && config.Layers[layer].Attention?.KeysOfLayer is null;

    /// <summary>Whether later layers use a layer's keys and values.</summary>
    public bool IsSource(int layer) => _sources.Contains(layer);
}
