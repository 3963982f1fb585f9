using static TorchSharp.torch;

namespace Trainer.Engine.Fast;

internal sealed unsafe partial class FastEngine
{
    /// <summary>Continues a text: computes tokens behind those that <paramref name="past"/> holds, adds theirs to it, and writes the logits after the last one.</summary>
    /// <param name="tokens">T tokens.</param>
    /// <param name="past">Keys and values so far.</param>
    /// <param name="textLength">Tokens of the text that these belong to.</param>
    /// <param name="logits">(vocabulary).</param>
    public void Continue(int[] tokens, KeyValues past, int textLength, float* logits)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var batch = TokenBatch.Continuation(tokens, past.Length, textLength);
        CheckIds(batch);
        var (work, buffers) = Prepare(batch, PassMode.Forward);
        _linear.Key = null;
        past.Reserve(tokens.Length);
        _layer.Past = past;
        _linear.HeldNorms = past.RowNorms;
        try
        {
            Embed(work, buffers.Input(0));
            for (var l = 0; l < _shape.Layers; l++)
            {
                Visit(l, l + 1 < _shape.Layers ? l + 1 : -1);
                _layer.Forward(_model.Layers[l], buffers.Input(l), buffers.Input(l + 1), false);
            }
            _head.Logits(buffers.Input(_shape.Layers) + (tokens.Length - 1L) * _shape.Hidden, 1, logits);
        }
        finally
        {
            _layer.Past = null;
            _linear.HeldNorms = null;
        }
        past.Advance(tokens.Length);
    }
}
