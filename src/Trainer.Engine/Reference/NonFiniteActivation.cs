using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Engine.Reference;

/// <summary>Finds where a forward pass stops being finite although every weight is: repeats it module by module and looks at each output.</summary>
public static class NonFiniteActivation
{
    private const int RowsAtOnce = 64;

    /// <summary>The first module, in order of computation, whose output holds NaN or infinity, or null where none does. No dropout.</summary>
    /// <param name="model">The model, adapters included.</param>
    /// <param name="batch">T tokens.</param>
    public static string? First(LoadedDecoder model, TokenBatch batch)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        string? found = null;
        void Look(string name, Tensor output)
        {
            if (found is null && !output.isfinite().all().item<bool>()) found = name;
        }
        var device = new Device(model.Options.Device);
        var pass = new DecoderPass(model, ReferenceEngine.ComputeType(model.Options, device)) { Seen = Look };
        using var context = new BatchContext(model.Config, batch, null, device);
        var hidden = pass.Embed(context);
        Look(model.Embedding.Name, hidden);
        hidden = pass.Enter(hidden, context);
        foreach (var layer in model.Layers)
        {
            if (found is not null) return found;
            using var inner = NewDisposeScope();
            var next = pass.Layer(layer, hidden, context).MoveToOuterDisposeScope();
            hidden.Dispose();
            hidden = next;
        }
        var normed = pass.FinalNorm(hidden);
        for (var row = 0; row < batch.Length && found is null; row += RowsAtOnce)
        {
            using var inner = NewDisposeScope();
            pass.Head(normed.narrow(0, row, Math.Min(RowsAtOnce, batch.Length - row)), null);
        }
        return found;
    }
}
