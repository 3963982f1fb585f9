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
    public long Width => config.Layers.Select(layer => Math.Max(HeadShape.Of(layer.Mixer)?.Query ?? 0, Other(layer).Mixed)).Max();

    /// <summary>What layers keep, where they share one state; a single layer's own otherwise.</summary>
    /// <param name="index">The state's layer, or -1.</param>
    /// <param name="first">Zero-based number of the first layer.</param>
    /// <param name="layers">The layers.</param>
    public IEnumerable<PassBuffer> Kept(int index, int first, IReadOnlyList<LayerConfig> layers)
    {
        PassBuffer Kept(BufferId id, long width) => new(BufferUse.Activations, new(id, index), batch.Tokens * width);
        foreach (var (id, width) in Heads(first, layers)) yield return Kept(id, width);
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
        if (StateSpace(layers) is { } mamba) yield return Kept(BufferId.StateOutput, mamba.Inner);
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
        var (gated, unit) = (Most(layer => layer.Attention is { HasGate: true } ? HeadShape.Of(layer.Mixer)!.Query : 0), Most(layer => layer.Attention
            is { QkNorm: QkNorm.Unit } or { NormsValues: true } ? HeadShape.Of(layer.Mixer)!.HeadSize : 0));
        if (widths.Input > 0 || gated > 0) yield return Scratch(BufferId.Mixed, Math.Max(widths.Mixed, gated));
        if (gated > 0) yield return Scratch(BufferId.QueryAndGate, 2 * gated);
        if (unit > 0) yield return new(BufferUse.Scratch, new(BufferId.UnitWeight), unit);
        foreach (var buffer in Delta(reachesLayers).Concat(LatentParts(reachesLayers)).Concat(Mamba(reachesLayers)).Concat(Beside(reachesLayers)))
            yield return buffer;
        if (!reachesLayers) yield break;
        if (widths.Input > 0)
        {
            yield return Scratch(BufferId.MixerInputGradient, widths.Input);
            yield return Scratch(BufferId.MixedGradient, widths.Mixed);
        }
        if (!shape.AllHeads.Any()) yield break;
        yield return Scratch(BufferId.AttendedGradient, shape.AllHeads.Max(heads => heads.Query));
        yield return Scratch(BufferId.QueryGradient, shape.AllHeads.Max(heads => heads.QueryStride));
        if (shape.Fused) yield break;
        yield return Scratch(BufferId.KeyGradient, shape.AllHeads.Max(heads => heads.Kv));
        yield return Scratch(BufferId.ValueGradient, shape.AllHeads.Max(heads => heads.Kv));
    }

    /// <summary>Keys and values that later layers use, kept from layer to layer, and their gradients where these reach their layer.</summary>
    /// <param name="lowest">The lowest layer that the backward pass reaches; no less than the number of layers where there is none.</param>
    public IEnumerable<PassBuffer> Sources(int lowest)
    {
        for (var l = 0; l < shape.Layers; l++)
        {
            if (!shape.IsSource(l)) continue;
            PassBuffer Own(BufferId id) => new(BufferUse.Stream, new(id, l), batch.Tokens * shape.HeadsOf(l)!.Kv);
            yield return Own(BufferId.SharedKey);
            yield return Own(BufferId.SharedValue);
            if (l < lowest) continue;
            yield return Own(BufferId.SharedKeyGradient);
            yield return Own(BufferId.SharedValueGradient);
        }
    }

    // Floats of a token for the largest heads of some layers.
    private IEnumerable<(BufferId Id, long Width)> Heads(int first, IReadOnlyList<LayerConfig> layers)
    {
        List<int> attending = [.. Enumerable.Range(first, layers.Count).Where(l => shape.HeadsOf(l) is not null)];
        if (attending.Count == 0) yield break;
        long Most(IEnumerable<int> some, Func<HeadShape, SelfAttention?, long> width)
            => some.Select(l => width(shape.HeadsOf(l)!, config.Layers[l].Attention)).DefaultIfEmpty().Max();
        List<int> own = [.. attending.Where(shape.KeepsKeys)],
            normed = [.. attending.Where(l => config.Layers[l].Attention is { QkNorm: not QkNorm.None })];
        var kept = Most(own.Where(l => !shape.IsSource(l) && !shape.HeadsOf(l)!.IsFused), (heads, _) => heads.Kv);
        yield return (BufferId.Query, Most(attending, (heads, _) => heads.QueryStride));
        if (kept > 0) yield return (BufferId.Key, kept);
        if (kept > 0) yield return (BufferId.Value, kept);
        if (normed.Count > 0)
        {
            yield return (BufferId.RawQuery, Most(normed, (heads, _) => heads.Query));
            yield return (BufferId.QueryInverse, Most(normed, (heads, attention) => attention!.QkNorm == QkNorm.FullWidth ? 1 : heads.Heads));
        }
        if (normed.Intersect(own).ToList() is { Count: > 0 } keys)
        {
            yield return (BufferId.RawKey, Most(keys, (heads, _) => heads.Kv));
            yield return (BufferId.KeyInverse, Most(keys, (heads, attention) => attention!.QkNorm == QkNorm.FullWidth ? 1 : heads.KvHeads));
        }
        if (own.Where(l => config.Layers[l].Attention is { NormsValues: true }).ToList() is { Count: > 0 } values)
        {
            yield return (BufferId.RawValue, Most(values, (heads, attention) => attention!.ValuesAreKeys ? 0 : heads.Kv));
            yield return (BufferId.ValueInverse, Most(values, (heads, _) => heads.KvHeads));
        }
        yield return (BufferId.LogSums, Most(attending, (heads, _) => heads.Heads));
        yield return (BufferId.Attended, Most(attending, (heads, _) => heads.Query));
        if (Most(attending, (heads, attention) => attention is { HasGate: true } ? heads.Query : 0) is > 0 and var gated)
            yield return (BufferId.AttentionGate, gated);
    }

    private static Mamba2? StateSpace(IEnumerable<LayerConfig> layers) => layers.Select(layer => layer.StateSpace).FirstOrDefault(mamba => mamba is not null);

    private long Most(Func<LayerConfig, long> width) => config.Layers.Select(width).Max();

    private LatentAttention? Latent => config.Layers.Select(layer => layer.Mixer).OfType<LatentAttention>().FirstOrDefault();

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
        if (StateSpace(config.Layers) is not { } mamba) yield break;
        yield return Scratch(BufferId.StateGate, mamba.Inner);
        if (mamba.ResultNorm is not null) yield return Scratch(BufferId.StateNormed, mamba.Inner);
        if (mamba.ResultNorm is not null) yield return Scratch(BufferId.StateInverse, mamba.NormGroups);
        if (mamba is { ResultNorm: not null, NormGroups: > 1 }) yield return Scratch(BufferId.StateGroup, mamba.Inner / mamba.NormGroups);
        if (mamba.InputMultiplier != 1) yield return Scratch(BufferId.StateInput, shape.Hidden);
        if (mamba.PartMultipliers is not null)
            yield return new(BufferUse.Scratch, new(BufferId.StateFactors), mamba.Inner + mamba.Channels + mamba.Heads);
        yield return new(BufferUse.Scratch, new(BufferId.StateScratch), threads * StateBlocks.Of(mamba, batch.Longest).Scratch);
        if (!reachesLayers) yield break;
        yield return Scratch(BufferId.StateStepGradient, mamba.Heads);
        if (mamba is { ResultNorm: not null, NormGroups: > 1 }) yield return Scratch(BufferId.StateGroupGradient, mamba.Inner / mamba.NormGroups);
    }

    private IEnumerable<PassBuffer> Beside(bool reachesLayers)
    {
        PassBuffer Scratch(BufferId id) => new(BufferUse.Scratch, new(id), batch.Tokens * shape.Hidden);
        if (config.Layers.Select(layer => layer.Mixer).OfType<SideBySide>().FirstOrDefault() is not { } both) yield break;
        if (both.AttentionInput != 1) yield return Scratch(BufferId.SideInput);
        yield return Scratch(BufferId.SideOutput);
        if (reachesLayers) yield return Scratch(BufferId.SideGradient);
    }

    private static long Values(GatedDelta delta) => (long)delta.ValueHeads * delta.ValueSize;

    private long Most(IEnumerable<LayerConfig> layers, Func<(long Input, long Convolved, long Mixed), long> width)
        => layers.Select(layer => width(Other(layer))).Max();

    // Floats of a token: of the first product, of the convolution, and of what the last product takes.
    private (long Input, long Convolved, long Mixed) Other(LayerConfig layer) => (layer.StateSpace ?? layer.Mixer) switch
    {
        ShortConvolution => (3L * shape.Hidden, shape.Hidden, shape.Hidden),
        GatedDelta delta => (delta.Channels, delta.Channels, Values(delta)),
        Mamba2 mamba => (mamba.Inner + mamba.Channels + mamba.Heads, mamba.Channels, mamba.Inner),
        _ => (0, 0, 0),
    };
}
