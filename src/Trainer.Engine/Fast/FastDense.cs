using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Layers;
using Trainer.Models.Parts;

namespace Trainer.Engine.Fast;

/// <summary>y = (act(x Wg^T) x Wu^T) Wd^T; gate and up may be one matrix.</summary>
internal sealed class FastDense : IFastBlock
{
    private readonly IKernels _kernels;
    private readonly FastLinear _linear;
    private readonly LinearModule? _fused, _gate, _up;
    private readonly LinearModule _down;
    private readonly GateShape _shape;

    public FastDense(DenseFeedForward config, LayerModules modules, IKernels kernels, FastLinear linear)
    {
        (_kernels, _linear) = (kernels, linear);
        LinearModule Find(string name) => modules.Linear($"{config.Path}.{name}");
        _fused = config.FusedName is { } fused ? Find(fused) : null;
        (_gate, _up) = _fused is null ? (Find(config.GateName), Find(config.UpName)) : (null, null);
        _down = Find(config.DownName);
        _shape = new GateShape(GateShape.KindOf(config.Activation), config.Width, _fused is null ? config.Width : 2L * config.Width);
    }

    public void Forward(FastPass pass, LayerState state, Place x, long rows, Place y)
    {
        var activated = pass.Buffers.Activated;
        if (_fused is not null) _linear.Forward(pass, _fused, x, rows, state.Gate, _shape.Stride, state.Of(_fused));
        else
        {
            _linear.Forward(pass, _gate!, x, rows, state.Gate, _shape.Stride, state.Of(_gate!));
            _linear.Forward(pass, _up!, x, rows, state.Up, _shape.Stride, state.Of(_up!));
        }
        _kernels.Gate(_shape, state.Gate, Up(state), activated, rows);
        if (y.IsNone) _linear.Keep(pass, _down, activated, rows, state.Of(_down));
        else _linear.Forward(pass, _down, activated, rows, y, _down.OutFeatures, state.Of(_down));
    }

    public void Backward(FastPass pass, LayerState state, Place x, long rows, Place dy, Place dx) => Backward(pass, state, x, rows, dy, dx, add: false);

    /// <summary>The same, perhaps added to what dx, which is not dy then, holds.</summary>
    public void Backward(FastPass pass, LayerState state, Place x, long rows, Place dy, Place dx, bool add)
    {
        var buffers = pass.Buffers;
        _kernels.Gate(_shape, state.Gate, Up(state), buffers.Activated, rows);
        _linear.Backward(pass, _down, buffers.Activated, rows, dy, _down.OutFeatures, buffers.ActivatedGradient, false, state.Of(_down));
        _kernels.GateBackward(_shape, state.Gate, Up(state), buffers.ActivatedGradient, rows);
        // gate and up now hold their own gradients.
        if (_fused is not null)
        {
            _linear.Backward(pass, _fused, x, rows, state.Gate, _shape.Stride, dx, add, state.Of(_fused));
            return;
        }
        _linear.Backward(pass, _gate!, x, rows, state.Gate, _shape.Stride, dx, add, state.Of(_gate!));
        _linear.Backward(pass, _up!, x, rows, state.Up, _shape.Stride, dx, true, state.Of(_up!));
    }

    private Place Up(LayerState state) => _fused is null ? state.Up : state.Gate + _shape.Width;
}
