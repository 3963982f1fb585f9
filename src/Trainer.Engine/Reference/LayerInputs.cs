using TorchSharp;
using Trainer.Engine.Passes;
using static TorchSharp.torch;

namespace Trainer.Engine.Reference;

/// <summary>Shows what each linear layer of a base reads in a forward pass.</summary>
public static class LayerInputs
{
    /// <summary>Passes a batch through the base, adapters left out.</summary>
    /// <param name="model">The model.</param>
    /// <param name="batch">T tokens.</param>
    /// <param name="seen">Gets a linear's name and what it reads, [T, in] float32, while that lives. Linears that read the same tensor get the same object, one
    /// after the other.</param>
    public static void Visit(LoadedDecoder model, TokenBatch batch, Action<string, Tensor> seen)
    {
        ArgumentNullException.ThrowIfNull(model);
        Pass.CheckIds(model, batch);
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var (wasEnabled, device) = (model.AdaptersEnabled, new Device(model.Options.Device));
        model.AdaptersEnabled = false;
        try
        {
            var pass = new DecoderPass(model, ReferenceEngine.ComputeType(model.Options, device)) { Read = seen };
            using var context = new BatchContext(model.Config, batch, null, device);
            var hidden = pass.Enter(pass.Embed(context), context);
            foreach (var layer in model.Layers)
            {
                using var inner = NewDisposeScope();
                var next = pass.Layer(layer, hidden, context).MoveToOuterDisposeScope();
                hidden.Dispose();
                hidden = next;
            }
            seen(model.Head.Name, pass.FinalNorm(hidden));
        }
        finally
        {
            model.AdaptersEnabled = wasEnabled;
        }
    }
}
