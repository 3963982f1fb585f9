using Trainer.Engine.Reference;
using Trainer.Models.Parts;
using static TorchSharp.torch;

namespace Trainer.Engine.Layers.Streams;

/// <summary>Makes several streams of the embeddings and one of the streams in the end; each projected stream is brought to the first one's magnitude.</summary>
internal sealed class StreamEnds(FourStreams config, LayerModules ends)
{
    private readonly LinearModule[] _in = [.. Enumerable.Range(0, config.Count - 1).Select(i => ends.Linear($"altup_projections.{i}"))];
    private readonly LinearModule[] _out = [.. Enumerable.Range(0, config.Count - 1).Select(i => ends.Linear($"altup_unembed_projections.{i}"))];

    /// <summary>Streams [count, T, hidden] of the embeddings [T, hidden].</summary>
    public Tensor Enter(ILayerMath pass, Tensor embedded, BatchContext context) =>
        stack([embedded, .. _in.Select(linear => Like(embedded, pass.Linear(linear, embedded, context.Key)))]);

    /// <summary>The mean of the streams [T, hidden].</summary>
    public Tensor Leave(ILayerMath pass, Tensor streams, StepKey? key)
    {
        var first = streams.select(0, 0);
        return stack([first, .. _out.Select((linear, i) => Like(first, pass.Linear(linear, streams.select(0, i + 1), key)))]).mean([0]);
    }

    private static Tensor Like(Tensor target, Tensor x) =>
        x * target.square().mean([-1], keepdim: true).sqrt() / x.square().mean([-1], keepdim: true).clamp_min(1e-5).sqrt();
}
