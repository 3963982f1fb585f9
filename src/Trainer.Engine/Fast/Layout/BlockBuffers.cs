using Trainer.Models.Config;
using Trainer.Models.Drawing;
using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Layout;

/// <summary>The buffers of feed-forward blocks: of dense ones, of experts, and of the block that all tokens pass beside experts.</summary>
/// <param name="config">The model.</param>
/// <param name="tokens">Tokens T; each is a row for every expert that it is sent to.</param>
internal sealed class BlockBuffers(ModelConfig config, long tokens)
{
    /// <summary>What layers keep, where they share one state; a single layer's own otherwise.</summary>
    /// <param name="index">The state's layer, or -1.</param>
    /// <param name="layers">The layers.</param>
    public IEnumerable<PassBuffer> Kept(int index, IReadOnlyList<LayerConfig> layers)
    {
        PassBuffer Kept(BufferId id, long elements, int size = sizeof(float)) => new(BufferUse.Activations, new(id, index), elements, size);
        List<DenseFeedForward> dense = [.. layers.Select(Dense).OfType<DenseFeedForward>()];
        if (dense.Count > 0) yield return Kept(BufferId.Gate, tokens * dense.Max(block => block.FusedName is null ? block.Width : 2L * block.Width));
        if (dense.Where(block => block.FusedName is null && block.IsGated).Select(block => block.Width).DefaultIfEmpty().Max() is > 0 and var widest)
            yield return Kept(BufferId.Up, tokens * widest);
        if (layers.Select(layer => layer.Experts).FirstOrDefault(block => block is not null) is not { } experts) yield break;
        var rows = tokens * experts.Router.Chosen;
        yield return Kept(BufferId.RouterScores, tokens * experts.Experts);
        yield return Kept(BufferId.Choice, rows, sizeof(int));
        yield return Kept(BufferId.ChoiceWeights, rows);
        yield return Kept(BufferId.RowTokens, rows, sizeof(int));
        yield return Kept(BufferId.RowSlots, rows, sizeof(int));
        yield return Kept(BufferId.SlotRows, rows, sizeof(int));
        yield return Kept(BufferId.RoutedGateUp, rows * experts.InnerRows);
        if (experts.Router.HasNorm) yield return Kept(BufferId.RouterInverse, tokens);
        if (experts.LatentWidth is { } width) yield return Kept(BufferId.ExpertInput, tokens * width);
        if (experts.LatentWidth is not null) yield return Kept(BufferId.ExpertOutput, tokens * Width(experts));
        if (layers.Any(layer => layer.FeedForward is DenseBesideExperts))
        {
            yield return Kept(BufferId.BesideDense, tokens * config.HiddenSize);
            yield return Kept(BufferId.BesideRouted, tokens * config.HiddenSize);
            foreach (var inverse in (BufferId[])[BufferId.BeforeDenseInverse, BufferId.BeforeRoutedInverse, BufferId.BesideDenseInverse,
                BufferId.BesideRoutedInverse])
                yield return Kept(inverse, tokens);
        }
        if (experts.SharedGateName is null) yield break;
        yield return Kept(BufferId.SharedOutput, tokens * config.HiddenSize);
        yield return Kept(BufferId.SharedGate, tokens);
    }

    /// <summary>u of adapters on experts, a row for each token and expert.</summary>
    /// <param name="index">The state's layer, or -1.</param>
    /// <param name="trained">What is trained of the layers.</param>
    public IEnumerable<PassBuffer> Low(int index, IEnumerable<TrainedModule> trained) =>
        trained.SelectMany(one => one.Experts.Select(update => (update.Part, update.Update.Rank, Rows: tokens * one.Module.Experts!.Router.Chosen)))
            .GroupBy(one => one.Part)
            .Select(part => new PassBuffer(BufferUse.Activations, new(BufferId.AdapterLow, index, LayerState.RoleOf(part.Key), BufferKey.Experts),
                part.Max(one => one.Rows * one.Rank)));

    /// <summary>What layers share.</summary>
    /// <param name="reachesLayers">Whether a backward pass reaches the layers.</param>
    public IEnumerable<PassBuffer> Shared(bool reachesLayers)
    {
        static PassBuffer Scratch(BufferId id, long elements) => new(BufferUse.Scratch, new(id), elements);
        if (config.Layers.Select(layer => Dense(layer)?.Width ?? 0).Max() is > 0 and var widest)
        {
            yield return Scratch(BufferId.Activated, tokens * widest);
            if (reachesLayers) yield return Scratch(BufferId.ActivatedGradient, tokens * widest);
        }
        if (reachesLayers && config.Layers.Any(layer => Dense(layer) is { DownMultiplier: not 1 }))
            yield return Scratch(BufferId.BlockGradient, tokens * config.HiddenSize);
        if (config.Experts is not { } experts) yield break;
        var rows = tokens * experts.Router.Chosen;
        // The result of a block for all tokens takes its turn there.
        yield return Scratch(BufferId.Routed, Math.Max(rows * Width(experts), experts.Shared is null ? 0 : tokens * config.HiddenSize));
        if (experts.Router.HasNorm) yield return Scratch(BufferId.RouterNormed, tokens * config.HiddenSize);
        if (config.Layers.Any(layer => layer.FeedForward is DenseBesideExperts))
        {
            yield return Scratch(BufferId.BesideNormed, tokens * config.HiddenSize);
            yield return Scratch(BufferId.BesideOther, tokens * config.HiddenSize);
        }
        yield return Scratch(BufferId.RoutedActivated, rows * experts.Width);
        if (!reachesLayers) yield break;
        yield return Scratch(BufferId.RoutedGradient, rows * Width(experts));
        if (experts.LatentWidth is { } width) yield return Scratch(BufferId.ExpertGradient, tokens * width);
        yield return Scratch(BufferId.RoutedActivatedGradient, rows * experts.Width);
        yield return Scratch(BufferId.ChoiceShares, rows);
        if (config.BalanceLoss > 0) yield return Scratch(BufferId.ScoreBalance, experts.Experts);
        if (experts.Shared is not null) yield return Scratch(BufferId.SharedGradient, tokens * config.HiddenSize);
        if (experts.SharedGateName is not null) yield return Scratch(BufferId.SharedGateGradient, tokens);
    }

    // Of what experts read and give.
    private long Width(ExpertFeedForward experts) => experts.LatentWidth ?? config.HiddenSize;

    private static DenseFeedForward? Dense(LayerConfig layer) => layer.Dense ?? layer.Experts?.Shared;
}
