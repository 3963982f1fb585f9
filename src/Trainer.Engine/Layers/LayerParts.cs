namespace Trainer.Engine;

/// <summary>The parts that compute what a layer's description says: the one place that knows them all.</summary>
internal static class LayerParts
{
    public static ITokenMixer Mixer(DecoderLayer layer) => layer.Config.Mixer switch
    {
        SelfAttention attention => new AttentionMixer(attention, layer),
        GatedDelta delta => new GatedDeltaMixer(delta, layer.Modules, layer.Index),
        ShortConvolution convolution => new ShortConvolutionMixer(convolution, layer.Modules, layer.Index),
        Mamba2 mamba => new Mamba2Mixer(mamba, layer.Modules, layer.Index),
        SideBySide both => new SideBySideMixer(both, layer),
        LatentAttention latent => new LatentMixer(latent, layer.Modules, layer.Index),
        var other => throw new NotSupportedException(other.GetType().Name),
    };

    public static IFeedForward FeedForward(DecoderLayer layer) => layer.Config.FeedForward switch
    {
        DenseFeedForward dense => new DenseBlock(dense, layer.Modules),
        DenseBesideExperts both => new DenseBesideExpertsBlock(both, layer.Modules),
        ExpertFeedForward experts => new ExpertBlock(experts, layer.Modules),
        var other => throw new NotSupportedException(other.GetType().Name),
    };
}
