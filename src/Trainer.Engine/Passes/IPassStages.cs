using TorchSharp;

namespace Trainer.Engine.Passes;

/// <summary>What an engine does in one pass; <see cref="Pass"/> gives the order. Layers are visited from the first to the last, then back.</summary>
internal interface IPassStages : IDisposable
{
    /// <summary>The first layer's input.</summary>
    void Embed();

    /// <summary>A layer is about to be computed, and another will follow (-1: none): a streamed base reads ahead.</summary>
    void Visit(int layer, int next);

    /// <summary>A layer's output from its input.</summary>
    /// <param name="layer">Zero-based.</param>
    /// <param name="isKept">Its backward pass will follow without computing it again.</param>
    void Forward(int layer, bool isKept);

    /// <summary>Computes a layer again, for its backward pass, which follows.</summary>
    void Recompute(int layer);

    /// <summary>Final norm, head and loss of the rows that carry one.</summary>
    /// <param name="scale">Multiplier of the gradient, or null for losses alone.</param>
    /// <param name="needsGradient">Whether anything below the final norm is trained.</param>
    void Loss(double? scale, bool needsGradient);

    /// <summary>Weighted sum of the losses, once everything before is done: asked for last, it is the one time that the host waits in a training
    /// pass.</summary>
    double LossSum();

    /// <summary>What the routers' balancing term added to that sum.</summary>
    double Balance => 0;

    /// <summary>A layer's gradients.</summary>
    /// <param name="layer">Zero-based.</param>
    /// <param name="needsInput">Whether anything below is trained.</param>
    void Backward(int layer, bool needsInput);

    /// <summary>The embedding's gradients from those of the first layer's input.</summary>
    void EmbeddingGradient();

    /// <summary>Losses of the rows that carry one, in the place of their tokens.</summary>
    void CopyLosses(Span<float> losses);

    /// <summary>Logits [T, vocabulary] of the last layer's output.</summary>
    torch.Tensor Logits();
}
