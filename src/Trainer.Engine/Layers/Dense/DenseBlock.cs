using Trainer.Engine.Reference;
using Trainer.Models.Config;
using Trainer.Models.Parts;
using static TorchSharp.torch;

namespace Trainer.Engine.Layers.Dense;

/// <summary>down(act(gate x) * up x), or down(act(up x)) without a gate.</summary>
internal sealed class DenseBlock : IFeedForward
{
    private readonly DenseFeedForward _config;
    private readonly LinearModule? _fused, _gate, _up;
    private readonly LinearModule _down;
    private readonly Tensor? _positive, _negative, _slope, _limit;

    public DenseBlock(DenseFeedForward config, LayerModules modules)
    {
        _config = config;
        if (config.FusedName is { } fused) _fused = modules.Linear($"{config.Path}.{fused}");
        else
        {
            if (config.IsGated) _gate = modules.Linear($"{config.Path}.{config.GateName}");
            _up = modules.Linear($"{config.Path}.{config.UpName}");
        }
        _down = modules.Linear($"{config.Path}.{config.DownName}");
        if (config.Activation != Activation.Xielu) return;
        (_positive, _negative) = (modules.Parameter($"{config.Path}.act_fn.alpha_p"), modules.Parameter($"{config.Path}.act_fn.alpha_n"));
        (_slope, _limit) = (modules.Parameter($"{config.Path}.act_fn.beta"), modules.Parameter($"{config.Path}.act_fn.eps"));
    }

    public Tensor Forward(ILayerMath pass, Tensor x, BatchContext context)
    {
        var wide = Inside(pass, x, context);
        var down = pass.Linear(_down, wide, context.Key);
        return _config.DownMultiplier == 1 ? down : down * _config.DownMultiplier;
    }

    private Tensor Inside(ILayerMath pass, Tensor x, BatchContext context)
    {
        if (!_config.IsGated) return Activate(pass.Linear(_up!, x, context.Key));
        Tensor gate, up;
        if (_fused is not null)
        {
            var both = pass.Linear(_fused, x, context.Key);
            gate = both.narrow(1, 0, _config.Width);
            up = both.narrow(1, _config.Width, _config.Width);
        }
        else
        {
            gate = pass.Linear(_gate!, x, context.Key);
            up = pass.Linear(_up!, x, context.Key);
        }
        if (_config.GateMultiplier != 1) gate = gate * _config.GateMultiplier;
        if (_config.Sparsity > 0) gate = Activations.Largest(gate, _config.Sparsity);
        return Activate(gate) * up;
    }

    private Tensor Activate(Tensor x) => _config.Activation == Activation.Xielu
        ? Activations.Xielu(x, _positive!, _negative!, _slope!, _limit!) : Activations.Apply(_config.Activation, x);
}
