using Trainer.Engine.Layers.Attention;
using Trainer.Engine.Layers.Convolution;
using Trainer.Engine.Layers.Delta;
using Trainer.Engine.Layers.Dense;
using Trainer.Engine.Layers.Experts;
using Trainer.Engine.Layers.Latent;
using Trainer.Engine.Layers.Mamba;
using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Engine.Layers;

/// <summary>The parts that compute what a layer's description says: the one place that knows them all.</summary>
internal static class LayerParts
{
    public static ITokenMixer? Mixer(LayerConfig config, LayerModules modules, int index) => config.Mixer switch
    {
        SelfAttention attention => new AttentionMixer(attention, modules, index),
        GatedDelta delta => new GatedDeltaMixer(delta, modules, index),
        ShortConvolution convolution => new ShortConvolutionMixer(convolution, modules, index),
        Mamba2 mamba => new Mamba2Mixer(mamba, modules, index),
        SideBySide both => new SideBySideMixer(both, modules, index),
        LatentAttention latent => new LatentMixer(latent, modules, index),
        NoMixer => null,
        var other => throw new NotSupportedException(other.GetType().Name),
    };

    public static IFeedForward? FeedForward(LayerConfig config, LayerModules modules) => config.FeedForward switch
    {
        DenseFeedForward dense => new DenseBlock(dense, modules),
        DenseBesideExperts both => new DenseBesideExpertsBlock(both, modules),
        ExpertFeedForward experts => new ExpertBlock(experts, modules),
        NoFeedForward => null,
        var other => throw new NotSupportedException(other.GetType().Name),
    };
}
