using TorchSharp;
using Trainer.Engine.Generation;

namespace Trainer.Engine;

/// <summary>Computes a decoder: the seam between the reference engine and the hand-written one. Not thread-safe.</summary>
public interface IDecoderEngine : IDisposable
{
    /// <summary>Short name for logs and reports.</summary>
    string Name { get; }

    /// <summary>How the base is read from disk while it computes, in words; null where it is held.</summary>
    string? Streaming => null;

    /// <summary>Adds the gradient of <paramref name="lossScale"/> times the weighted loss sum to the parameter buffer.</summary>
    /// <param name="batch">T tokens.</param>
    /// <param name="lossScale">Multiplier of the gradient alone, not of the returned sum.</param>
    /// <param name="key">Seeds the dropout masks; null computes without dropout.</param>
    LossResult ForwardBackward(TokenBatch batch, double lossScale, StepKey? key);

    /// <summary>The same for several batches in their order, where the engine can with each layer of a streamed base read once for all of them.</summary>
    /// <param name="batches">The batches.</param>
    /// <param name="lossScale">Multiplier of the gradients alone.</param>
    /// <param name="keys">Seeds of each batch's dropout masks.</param>
    LossResult[] ForwardBackward(IReadOnlyList<TokenBatch> batches, double lossScale, IReadOnlyList<StepKey?> keys)
        => [.. batches.Zip(keys, (batch, key) => ForwardBackward(batch, lossScale, key))];

    /// <summary>Unweighted loss of each token (nats), length T, 0 where the target is ignored.</summary>
    /// <param name="batch">T tokens.</param>
    float[] TokenLosses(TokenBatch batch);

    /// <summary>Logits [T, vocabulary], float32, on the model's device. The caller disposes it.</summary>
    /// <param name="batch">T tokens.</param>
    torch.Tensor Logits(TokenBatch batch);

    /// <summary>A text without tokens, to be continued with this engine.</summary>
    internal ITokenDecoder Decoder();

    /// <summary>Continues several texts in one pass, so that every weight is read once for all of them.</summary>
    /// <param name="parts">Texts that <see cref="Decoder"/> made, or branches of them.</param>
    /// <param name="logits">Logits after the last token of each part (parts, vocabulary).</param>
    internal void Continue(IReadOnlyList<TextPart> parts, Span<float> logits);
}
