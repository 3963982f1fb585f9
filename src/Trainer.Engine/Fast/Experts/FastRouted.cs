using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Layers;
using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Experts;

/// <summary>The experts by hand, for tokens that a router has sorted.</summary>
/// <remarks>
/// <code>
/// y_t = sum over the chosen e of w_te down_e(act(gate_e x_t) up_e x_t)        without gates  w_te down_e(act(up_e x_t))
/// </code>
/// A weight's gradient times the weight is the product of an expert's inner values with their gradient, so no expert's result is kept.
/// </remarks>
internal sealed class FastRouted
{
    private readonly ExpertFeedForward _config;
    private readonly IKernels _kernels;
    private readonly ExpertProducts _inner, _down;
    private readonly GateShape _shape;
    private readonly int _width, _chosen;

    public FastRouted(ExpertFeedForward config, LoadedDecoder model, LayerModules modules, IKernels kernels, FastParameters parameters)
    {
        (_config, _kernels, _chosen) = (config, kernels, config.Router.Chosen);
        _width = config.LatentWidth ?? model.Config.HiddenSize;
        var lowRank = new FastLowRank(kernels);
        _inner = new ExpertProducts(model, modules.Experts!, isDown: false, kernels, lowRank, parameters);
        _down = new ExpertProducts(model, modules.Experts!, isDown: true, kernels, lowRank, parameters);
        _shape = GateShape.Of(config.Activation, config.IsGated, config.Width, config.InnerRows) with { IsClamped = config.IsClamped };
    }

    /// <summary>y (rows, width) of x (rows, width); where y is none, only what the backward pass needs is kept.</summary>
    public void Forward(FastPass pass, LayerState state, Place x, long rows, Place y)
    {
        var (routed, activated) = (pass.Memory.Floats(BufferId.Routed), pass.Memory.Floats(BufferId.RoutedActivated));
        SpreadInputs(state, x, rows * _chosen, routed);
        _inner.Forward(pass, state, routed, Inner(state));
        _kernels.Gate(_shape, Inner(state), Up(state), activated, rows * _chosen);
        _down.Forward(pass, state, activated, y.IsNone ? default : routed);
        if (!y.IsNone) _kernels.Collect(routed, state.OwnIntegers(BufferId.SlotRows), OutputWeights(state), _chosen, rows, _width, y);
    }

    /// <summary>Adds the parameters' gradients, writes that of x, and leaves each weight's share for the router. dx may be dy.</summary>
    public void Backward(FastPass pass, LayerState state, Place x, long rows, Place dy, Place dx)
    {
        Place Scratch(BufferId id) => pass.Memory.Floats(id);
        var (routed, gradient, shares) = (Scratch(BufferId.Routed), Scratch(BufferId.RoutedGradient), Scratch(BufferId.ChoiceShares));
        var (activated, activatedGradient) = (Scratch(BufferId.RoutedActivated), Scratch(BufferId.RoutedActivatedGradient));
        Place tokens = state.OwnIntegers(BufferId.RowTokens), slots = state.OwnIntegers(BufferId.RowSlots);
        var count = rows * _chosen;
        _kernels.Spread(dy, tokens, slots, OutputWeights(state), count, _width, gradient);
        _kernels.Gate(_shape, Inner(state), Up(state), activated, count);
        _down.Backward(pass, state, activated, gradient, activatedGradient);
        var scalesInput = _config.Router.ScalesInput;
        if (!scalesInput) _kernels.RowDots(activatedGradient, activated, slots, count, _config.Width, shares);
        if (!scalesInput) _down.AddBiasDots(state, gradient, slots, shares);
        _kernels.GateBackward(_shape, Inner(state), Up(state), activatedGradient, count);
        if (_inner.IsTrained || scalesInput) SpreadInputs(state, x, count, routed);
        _inner.Backward(pass, state, routed, Inner(state), gradient);
        if (scalesInput) _kernels.RowDots(gradient, routed, slots, count, _width, shares);
        _kernels.Collect(gradient, state.OwnIntegers(BufferId.SlotRows), scalesInput ? state.Own(BufferId.ChoiceWeights) : default, _chosen, rows, _width, dx);
    }

    // What an expert reads: a token's row, times its weight where that scales the input and not the output.
    private void SpreadInputs(LayerState state, Place x, long count, Place target)
    {
        var tokens = state.OwnIntegers(BufferId.RowTokens);
        if (_config.Router.ScalesInput)
            _kernels.Spread(x, tokens, state.OwnIntegers(BufferId.RowSlots), state.Own(BufferId.ChoiceWeights), count, _width, target);
        else _kernels.Spread(x, tokens, default, default, count, _width, target);
    }

    private Place OutputWeights(LayerState state) => _config.Router.ScalesInput ? default : state.Own(BufferId.ChoiceWeights);

    private static Place Inner(LayerState state) => state.Own(BufferId.RoutedGateUp);

    private Place Up(LayerState state) => _shape.IsClamped || _shape.IsAlone ? default : Inner(state) + _config.Width;
}
