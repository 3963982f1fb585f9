using Trainer.Engine.Passes;
using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Layout;

/// <summary>The buffers of token mixers.</summary>
/// <param name="config">The model.</param>
/// <param name="shape">Its attention.</param>
/// <param name="batch">The batch.</param>
/// <param name="threads">Threads that have scratch of their own.</param>
internal sealed class MixerBuffers(ModelConfig config, FastShape shape, BatchShape batch, int threads)
{
    /// <summary>Most floats of a token between mixing and the mixer's last product, or of its queries.</summary>
    public long Width => config.Layers.Select(layer => Attends(layer) ? shape.Query : Other(layer.Mixer).Mixed).Max();

    /// <summary>What layers keep, where they share one state; a single layer's own otherwise.</summary>
    /// <param name="index">The state's layer, or -1.</param>
    /// <param name="layers">The layers.</param>
    public IEnumerable<PassBuffer> Kept(int index, IReadOnlyList<LayerConfig> layers)
    {
        PassBuffer Kept(BufferId id, long width) => new(BufferUse.Activations, new(id, index), batch.Tokens * width);
        if (layers.Any(Attends))
        {
            yield return Kept(BufferId.Query, shape.QueryStride);
            if (!shape.Fused) yield return Kept(BufferId.Key, shape.Kv);
            if (!shape.Fused) yield return Kept(BufferId.Value, shape.Kv);
            if (shape.QueryNorms)
            {
                yield return Kept(BufferId.RawQuery, shape.Query);
                yield return Kept(BufferId.RawKey, shape.Kv);
                yield return Kept(BufferId.QueryInverse, shape.Query / shape.QueryNormWidth);
                yield return Kept(BufferId.KeyInverse, shape.Kv / shape.KeyNormWidth);
            }
            yield return Kept(BufferId.LogSums, shape.Heads);
            yield return Kept(BufferId.Attended, shape.Query);
            if (HasGate) yield return Kept(BufferId.AttentionGate, shape.Query);
        }
        if (Latent is { } latent)
        {
            if (latent.QueryRank is { } rank) yield return Kept(BufferId.RawQuery, rank);
            if (latent.QueryRank is not null) yield return Kept(BufferId.QueryInverse, 1);
            yield return Kept(BufferId.RawKey, latent.KvRank);
            yield return Kept(BufferId.KeyInverse, 1);
        }
        if (layers.Select(layer => layer.Mixer).OfType<GatedDelta>().FirstOrDefault() is { } delta)
        {
            yield return Kept(BufferId.DeltaGate, Values(delta));
            yield return Kept(BufferId.DeltaStrength, delta.ValueHeads);
            yield return Kept(BufferId.DeltaStep, delta.ValueHeads);
            yield return Kept(BufferId.DeltaOutput, Values(delta));
        }
        if (layers.Select(layer => layer.Mixer).OfType<Mamba2>().FirstOrDefault() is { } mamba) yield return Kept(BufferId.StateOutput, mamba.Inner);
        if (Most(layers, width => width.Input) is > 0 and var input) yield return Kept(BufferId.MixerInput, input);
    }

    /// <summary>What layers share.</summary>
    /// <param name="reachesLayers">Whether a backward pass reaches the layers.</param>
    public IEnumerable<PassBuffer> Shared(bool reachesLayers)
    {
        PassBuffer Scratch(BufferId id, long width) => new(BufferUse.Scratch, new(id), batch.Tokens * width);
        var widths = (Input: Most(config.Layers, width => width.Input), Convolved: Most(config.Layers, width => width.Convolved), Mixed: Most(config.Layers,
            width => width.Mixed));
        if (widths.Input > 0)
        {
            yield return Scratch(BufferId.MixerScratch, widths.Convolved);
            yield return Scratch(BufferId.Convolved, widths.Convolved);
        }
        if (widths.Input > 0 || HasGate) yield return Scratch(BufferId.Mixed, Math.Max(widths.Mixed, HasGate ? shape.Query : 0));
        if (HasGate) yield return Scratch(BufferId.QueryAndGate, 2L * shape.Query);
        if (config.QkNorm == QkNorm.Unit) yield return new(BufferUse.Scratch, new(BufferId.UnitWeight), shape.HeadSize);
        foreach (var buffer in Delta(reachesLayers).Concat(LatentParts(reachesLayers)).Concat(Mamba(reachesLayers))) yield return buffer;
        if (!reachesLayers) yield break;
        if (widths.Input > 0)
        {
            yield return Scratch(BufferId.MixerInputGradient, widths.Input);
            yield return Scratch(BufferId.MixedGradient, widths.Mixed);
        }
        if (!config.Layers.Any(Attends)) yield break;
        yield return Scratch(BufferId.AttendedGradient, shape.Query);
        yield return Scratch(BufferId.QueryGradient, shape.QueryStride);
        if (!shape.Fused) yield return Scratch(BufferId.KeyGradient, shape.Kv);
        if (!shape.Fused) yield return Scratch(BufferId.ValueGradient, shape.Kv);
    }

    private bool HasGate => config.Attention?.HasGate ?? false;

    private LatentAttention? Latent => config.Layers.Select(layer => layer.Mixer).OfType<LatentAttention>().FirstOrDefault();

    private static bool Attends(LayerConfig layer) => layer.Mixer is SelfAttention or LatentAttention;

    private IEnumerable<PassBuffer> LatentParts(bool reachesLayers)
    {
        PassBuffer Scratch(BufferId id, long width) => new(BufferUse.Scratch, new(id), batch.Tokens * width);
        if (Latent is not { } latent) yield break;
        long small = Math.Max(Math.Max(latent.QueryRank ?? 0, latent.KvRank), latent.RotatedSize), values = (long)latent.Heads * latent.ValueSize;
        yield return Scratch(BufferId.LatentWide, (long)latent.Heads * (latent.PlainSize + Math.Max(latent.RotatedSize, latent.ValueSize)));
        yield return Scratch(BufferId.LatentDown, latent.KvRank + latent.RotatedSize);
        yield return Scratch(BufferId.LatentNormed, small);
        if (latent.HeadSize > latent.ValueSize) yield return Scratch(BufferId.Mixed, values);
        if (!reachesLayers) yield break;
        yield return Scratch(BufferId.LatentGradient, small);
        if (latent.HeadSize > latent.ValueSize) yield return Scratch(BufferId.MixedGradient, values);
    }

    private IEnumerable<PassBuffer> Delta(bool reachesLayers)
    {
        PassBuffer Scratch(BufferId id, long width) => new(BufferUse.Scratch, new(id), batch.Tokens * width);
        if (config.Layers.Select(layer => layer.Mixer).OfType<GatedDelta>().FirstOrDefault() is not { } delta) yield break;
        yield return Scratch(BufferId.DeltaInner, Values(delta));
        yield return Scratch(BufferId.DeltaInverse, delta.ValueHeads);
        if (delta.IsPacked) yield return Scratch(BufferId.DeltaPacked, delta.Channels + Values(delta) + 2L * delta.ValueHeads);
        yield return new(BufferUse.Scratch, new(BufferId.DeltaScratch), threads * DeltaBlocks.Of(delta, batch.Longest).Scratch);
        if (!reachesLayers) yield break;
        yield return Scratch(BufferId.DeltaStrengthGradient, delta.ValueHeads);
        yield return Scratch(BufferId.DeltaStepGradient, delta.ValueHeads);
    }

    private IEnumerable<PassBuffer> Mamba(bool reachesLayers)
    {
        PassBuffer Scratch(BufferId id, long width) => new(BufferUse.Scratch, new(id), batch.Tokens * width);
        if (config.Layers.Select(layer => layer.Mixer).OfType<Mamba2>().FirstOrDefault() is not { } mamba) yield break;
        yield return Scratch(BufferId.StateGate, mamba.Inner);
        if (mamba.ResultNorm is not null) yield return Scratch(BufferId.StateNormed, mamba.Inner);
        if (mamba.ResultNorm is not null) yield return Scratch(BufferId.StateInverse, 1);
        yield return new(BufferUse.Scratch, new(BufferId.StateScratch), threads * StateBlocks.Of(mamba, batch.Longest).Scratch);
        if (reachesLayers) yield return Scratch(BufferId.StateStepGradient, mamba.Heads);
    }

    private static long Values(GatedDelta delta) => (long)delta.ValueHeads * delta.ValueSize;

    private long Most(IEnumerable<LayerConfig> layers, Func<(long Input, long Convolved, long Mixed), long> width)
        => layers.Select(layer => width(Other(layer.Mixer))).Max();

    // Floats of a token: of the first product, of the convolution, and of what the last product takes.
    private (long Input, long Convolved, long Mixed) Other(TokenMixer mixer) => mixer switch
    {
        ShortConvolution => (3L * shape.Hidden, shape.Hidden, shape.Hidden),
        GatedDelta delta => (delta.Channels, delta.Channels, Values(delta)),
        Mamba2 mamba => (mamba.Inner + mamba.Channels + mamba.Heads, mamba.Channels, mamba.Inner),
        _ => (0, 0, 0),
    };
}
