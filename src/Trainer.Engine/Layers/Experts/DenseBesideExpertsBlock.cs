using Trainer.Engine.Layers.Dense;
using Trainer.Engine.Reference;
using Trainer.Models.Parts;
using static TorchSharp.torch;

namespace Trainer.Engine.Layers.Experts;

/// <summary>A dense block and experts on the raw stream, each between norms of its own, added.</summary>
internal sealed class DenseBesideExpertsBlock(DenseBesideExperts config, LayerModules modules) : IFeedForward
{
    private readonly DenseBlock _dense = new(config.Dense, modules);
    private readonly ExpertBlock _experts = new(config.Experts, modules);

    public Tensor Forward(ILayerMath pass, Tensor x, BatchContext context)
    {
        Tensor Norm(string name, Tensor input) => pass.Norm(modules.Norm(name), input);
        var dense = Norm("post_feedforward_layernorm_1", _dense.Forward(pass, Norm("pre_feedforward_layernorm", x), context));
        var routed = _experts.Routed(pass, Norm("pre_feedforward_layernorm_2", x), _experts.Router.Choose(x, context), context);
        return dense + Norm("post_feedforward_layernorm_2", routed);
    }
}
