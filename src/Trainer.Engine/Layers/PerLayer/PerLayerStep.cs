using Trainer.Engine.Layers.Dense;
using Trainer.Engine.Reference;
using Trainer.Models.Config;
using static TorchSharp.torch;

namespace Trainer.Engine.Layers.PerLayer;

/// <summary>What a layer makes of its small input: norm(W (act(G h) * u)).</summary>
internal sealed class PerLayerStep(LayerModules modules, int layer, Activation activation)
{
    private readonly LinearModule _gate = modules.Linear("per_layer_input_gate");
    private readonly LinearModule _projection = modules.Linear("per_layer_projection");
    private readonly NormModule _norm = modules.Norm("post_per_layer_input_norm");

    /// <summary>The step [T, hidden] from [T, hidden].</summary>
    public Tensor Apply(ILayerMath pass, Tensor hidden, BatchContext context)
    {
        var gated = Activations.Apply(activation, pass.Linear(_gate, hidden, context.Key)) * context.Shared(PerLayerInputs.Name).select(1, layer);
        return pass.Norm(_norm, pass.Linear(_projection, gated, context.Key));
    }
}
