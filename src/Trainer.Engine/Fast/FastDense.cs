using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Layers;
using Trainer.Models.Parts;

namespace Trainer.Engine.Fast;

/// <summary>y = m (act(g x Wg^T) x Wu^T) Wd^T with multipliers g and m; gate and up may be one matrix, or there is no gate: y = m act(x Wu^T) Wd^T.</summary>
internal sealed class FastDense : IFastBlock
{
    private readonly IKernels _kernels;
    private readonly FastLinear _linear;
    // The first product: gates, gates and ups side by side, or what the activation takes where there are no gates.
    private readonly LinearModule _first;
    private readonly LinearModule? _up;
    private readonly LinearModule _down;
    private readonly GateShape _shape;
    private readonly float _gateFactor, _downFactor;

    public FastDense(DenseFeedForward config, LayerModules modules, IKernels kernels, FastLinear linear)
    {
        (_kernels, _linear) = (kernels, linear);
        LinearModule Find(string name) => modules.Linear($"{config.Path}.{name}");
        var isPair = config.IsGated && config.FusedName is null;
        _first = Find(config.FusedName ?? (config.IsGated ? config.GateName : config.UpName));
        _up = isPair ? Find(config.UpName) : null;
        _down = Find(config.DownName);
        _shape = GateShape.Of(config.Activation, config.IsGated, config.Width, _first.OutFeatures);
        (_gateFactor, _downFactor) = (isPair ? (float)config.GateMultiplier : 1f, (float)config.DownMultiplier);
    }

    public void Forward(FastPass pass, LayerState state, Place x, long rows, Place y)
    {
        var activated = pass.Buffers.Activated;
        _linear.Forward(pass, _first, x, rows, state.Gate, _shape.Stride, state.Of(_first));
        if (_gateFactor != 1f) _kernels.Scale(state.Gate, rows * _shape.Width, _gateFactor);
        if (_up is not null) _linear.Forward(pass, _up, x, rows, state.Up, _shape.Stride, state.Of(_up));
        _kernels.Gate(_shape, state.Gate, Up(state), activated, rows);
        if (y.IsNone)
        {
            _linear.Keep(pass, _down, activated, rows, state.Of(_down));
            return;
        }
        _linear.Forward(pass, _down, activated, rows, y, _down.OutFeatures, state.Of(_down));
        if (_downFactor != 1f) _kernels.Scale(y, rows * _down.OutFeatures, _downFactor);
    }

    public void Backward(FastPass pass, LayerState state, Place x, long rows, Place dy, Place dx) => Backward(pass, state, x, rows, dy, dx, add: false);

    /// <summary>The same, perhaps added to what dx, which is not dy then, holds.</summary>
    public void Backward(FastPass pass, LayerState state, Place x, long rows, Place dy, Place dx, bool add)
    {
        var buffers = pass.Buffers;
        if (_downFactor != 1f)
        {
            var scaled = pass.Memory.Floats(BufferId.BlockGradient);
            _kernels.CopyScaled(dy, _downFactor, scaled, rows * _down.OutFeatures);
            dy = scaled;
        }
        _kernels.Gate(_shape, state.Gate, Up(state), buffers.Activated, rows);
        _linear.Backward(pass, _down, buffers.Activated, rows, dy, _down.OutFeatures, buffers.ActivatedGradient, false, state.Of(_down));
        _kernels.GateBackward(_shape, state.Gate, Up(state), buffers.ActivatedGradient, rows);
        // gate and up now hold their own gradients.
        if (_gateFactor != 1f) _kernels.Scale(state.Gate, rows * _shape.Width, _gateFactor);
        _linear.Backward(pass, _first, x, rows, state.Gate, _shape.Stride, dx, add, state.Of(_first));
        if (_up is not null) _linear.Backward(pass, _up, x, rows, state.Up, _shape.Stride, dx, true, state.Of(_up));
    }

    private Place Up(LayerState state) => _shape.IsAlone ? default : _up is null ? state.Gate + _shape.Width : state.Up;
}
