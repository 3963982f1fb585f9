using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Layers;
using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Experts;

/// <summary>Sends each token to its experts by hand, and perhaps through a block of all tokens.</summary>
/// <remarks>
/// <code>
/// y_t = Wo sum over the chosen e of w_te expert_e(Wi x_t) + sigmoid(x_t Ws^T) shared(x_t)        without Wi and Wo where experts compute on the stream
/// </code>
/// </remarks>
internal sealed class FastExperts : IFastBlock
{
    private readonly IKernels _kernels;
    private readonly FastLinear _linear;
    private readonly FastRouter _router;
    private readonly FastRouted _routed;
    private readonly FastDense? _shared;
    private readonly LinearModule? _sharedGate, _in, _out;
    private readonly int _hidden;

    public FastExperts(ExpertFeedForward config, LoadedDecoder model, LayerModules modules, IKernels kernels, FastLinear linear, FastParameters parameters)
    {
        (_kernels, _linear, _hidden) = (kernels, linear, model.Config.HiddenSize);
        _router = new FastRouter(config, modules, _hidden, kernels);
        _routed = new FastRouted(config, model, modules, kernels, parameters);
        if (config.LatentWidth is not null) (_in, _out) = (modules.Linear(config.LatentPaths.In), modules.Linear(config.LatentPaths.Out));
        if (config.Shared is not { } shared) return;
        _shared = new FastDense(shared, modules, kernels, linear);
        _sharedGate = config.SharedGateName is { } gate ? modules.Linear($"{config.Path}.{gate}") : null;
    }

    public void Forward(FastPass pass, LayerState state, Place x, long rows, Place y)
    {
        _router.Forward(pass, state, x, rows);
        if (_in is null) _routed.Forward(pass, state, x, rows, y);
        else
        {
            var (inside, result) = (state.Own(BufferId.ExpertInput), state.Own(BufferId.ExpertOutput));
            _linear.Forward(pass, _in, x, rows, inside, _in.OutFeatures, state.Of(_in));
            _routed.Forward(pass, state, inside, rows, result);
            if (y.IsNone) _linear.Keep(pass, _out!, result, rows, state.Of(_out!));
            else _linear.Forward(pass, _out!, result, rows, y, _hidden, state.Of(_out!));
        }
        if (_shared is not null) ForwardShared(pass, state, x, rows, y);
    }

    public void Backward(FastPass pass, LayerState state, Place x, long rows, Place dy, Place dx)
    {
        // All that reads dy comes first: dx may lie in its place.
        if (_shared is not null) SplitShared(pass, state, dy, rows);
        if (_in is null) _routed.Backward(pass, state, x, rows, dy, dx);
        else
        {
            var gradient = pass.Memory.Floats(BufferId.ExpertGradient);
            _linear.Backward(pass, _out!, state.Own(BufferId.ExpertOutput), rows, dy, _hidden, gradient, false, state.Of(_out!));
            _routed.Backward(pass, state, state.Own(BufferId.ExpertInput), rows, gradient, gradient);
            _linear.Backward(pass, _in, x, rows, gradient, _in.OutFeatures, dx, false, state.Of(_in));
        }
        _router.Backward(pass, state, x, rows, dx);
        if (_shared is not null) BackwardShared(pass, state, x, rows, dx);
    }

    private void ForwardShared(FastPass pass, LayerState state, Place x, long rows, Place y)
    {
        if (_sharedGate is null)
        {
            var added = pass.Memory.Floats(BufferId.Routed);
            _shared!.Forward(pass, state, x, rows, y.IsNone ? default : added);
            if (!y.IsNone) _kernels.AddScaled(y, added, 1f, y, rows * _hidden);
            return;
        }
        // The gate's gradient needs what it multiplied.
        var (gate, output) = (state.Own(BufferId.SharedGate), state.Own(BufferId.SharedOutput));
        _linear.Forward(pass, _sharedGate, x, rows, gate, 1, state.Of(_sharedGate));
        _shared!.Forward(pass, state, x, rows, output);
        if (!y.IsNone) _kernels.GateRows(gate, output, _hidden, rows, y, add: true);
    }

    // What of dy flows into the shared block and its gate.
    private void SplitShared(FastPass pass, LayerState state, Place dy, long rows)
    {
        var target = pass.Memory.Floats(BufferId.SharedGradient);
        if (_sharedGate is null)
        {
            _kernels.Copy(dy, _hidden, target, _hidden, _hidden, rows);
            return;
        }
        var gate = state.Own(BufferId.SharedGate);
        _kernels.GateRowsGradient(gate, state.Own(BufferId.SharedOutput), dy, _hidden, rows, pass.Memory.Floats(BufferId.SharedGateGradient));
        _kernels.GateRows(gate, dy, _hidden, rows, target, add: false);
    }

    private void BackwardShared(FastPass pass, LayerState state, Place x, long rows, Place dx)
    {
        if (_sharedGate is not null)
            _linear.Backward(pass, _sharedGate, x, rows, pass.Memory.Floats(BufferId.SharedGateGradient), 1, dx, true, state.Of(_sharedGate));
        _shared!.Backward(pass, state, x, rows, pass.Memory.Floats(BufferId.SharedGradient), dx, true);
    }
}
