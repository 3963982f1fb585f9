using TorchSharp;
using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Layers;
using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Experts;

/// <summary>Sends each token to its experts by hand, and perhaps through a block of all tokens.</summary>
/// <remarks>
/// <code>
/// y_t = sum over the chosen e of w_te down_e(act(gate_e x_t) up_e x_t) + sigmoid(x_t Ws^T) shared(x_t)
/// </code>
/// A weight's gradient times the weight is the product of an expert's inner values with their gradient, so no expert's result is kept.
/// </remarks>
internal sealed class FastExperts : IFastBlock
{
    private readonly ExpertFeedForward _config;
    private readonly IKernels _kernels;
    private readonly FastLinear _linear;
    private readonly ExpertProducts _gateUp, _down;
    private readonly FastDense? _shared;
    private readonly LinearModule? _sharedGate;
    private readonly torch.Tensor _router;
    private readonly torch.Tensor? _routerBias, _correction;
    private readonly GateShape _shape;
    private readonly int _hidden, _chosen;

    public FastExperts(ExpertFeedForward config, LoadedDecoder model, LayerModules modules, IKernels kernels, FastLinear linear, FastParameters parameters)
    {
        (_config, _kernels, _linear, _hidden, _chosen) = (config, kernels, linear, model.Config.HiddenSize, config.Router.Chosen);
        var lowRank = new FastLowRank(kernels);
        _gateUp = new ExpertProducts(model, modules.Experts!, isDown: false, kernels, lowRank, parameters);
        _down = new ExpertProducts(model, modules.Experts!, isDown: true, kernels, lowRank, parameters);
        _shape = new GateShape(GateShape.KindOf(config.Activation), config.Width, 2L * config.Width) { IsClamped = config.IsClamped };
        _router = modules.Parameter($"{config.RouterPath}.{config.Router.WeightName}");
        _routerBias = config.Router.HasBias ? modules.Parameter($"{config.RouterPath}.bias") : null;
        _correction = config.Router.HasCorrection ? modules.Parameter(config.CorrectionPath) : null;
        if (config.Shared is not { } shared) return;
        _shared = new FastDense(shared, modules, kernels, linear);
        _sharedGate = config.SharedGateName is { } gate ? modules.Linear($"{config.Path}.{gate}") : null;
    }

    public void Forward(FastPass pass, LayerState state, Place x, long rows, Place y)
    {
        Route(pass, state, x, rows);
        var (routed, activated) = (pass.Memory.Floats(BufferId.Routed), pass.Memory.Floats(BufferId.RoutedActivated));
        SpreadInputs(state, x, rows * _chosen, routed);
        _gateUp.Forward(pass, state, routed, GateUp(state));
        _kernels.Gate(_shape, GateUp(state), Up(state), activated, rows * _chosen);
        _down.Forward(pass, state, activated, y.IsNone ? default : routed);
        if (!y.IsNone) _kernels.Collect(routed, state.OwnIntegers(BufferId.SlotRows), OutputWeights(state), _chosen, rows, _hidden, y);
        if (_shared is not null) ForwardShared(pass, state, x, rows, y);
    }

    public void Backward(FastPass pass, LayerState state, Place x, long rows, Place dy, Place dx)
    {
        Place Scratch(BufferId id) => pass.Memory.Floats(id);
        var (routed, gradient, shares) = (Scratch(BufferId.Routed), Scratch(BufferId.RoutedGradient), Scratch(BufferId.ChoiceShares));
        var (activated, activatedGradient) = (Scratch(BufferId.RoutedActivated), Scratch(BufferId.RoutedActivatedGradient));
        Place tokens = state.OwnIntegers(BufferId.RowTokens), slots = state.OwnIntegers(BufferId.RowSlots);
        var count = rows * _chosen;
        // All that reads dy comes first: dx may lie in its place.
        _kernels.Spread(dy, tokens, slots, OutputWeights(state), count, _hidden, gradient);
        if (_shared is not null) SplitShared(pass, state, dy, rows);
        _kernels.Gate(_shape, GateUp(state), Up(state), activated, count);
        _down.Backward(pass, state, activated, gradient, activatedGradient);
        var scalesInput = _config.Router.ScalesInput;
        if (!scalesInput) _kernels.RowDots(activatedGradient, activated, slots, count, _config.Width, shares);
        if (!scalesInput) _down.AddBiasDots(state, gradient, slots, shares);
        _kernels.GateBackward(_shape, GateUp(state), Up(state), activatedGradient, count);
        if (_gateUp.IsTrained || scalesInput) SpreadInputs(state, x, count, routed);
        _gateUp.Backward(pass, state, routed, GateUp(state), gradient);
        if (scalesInput) _kernels.RowDots(gradient, routed, slots, count, _hidden, shares);
        _kernels.Collect(gradient, state.OwnIntegers(BufferId.SlotRows), scalesInput ? state.Own(BufferId.ChoiceWeights) : default, _chosen, rows, _hidden, dx);
        RouterBackward(pass, state, rows, dx);
        if (_shared is not null) BackwardShared(pass, state, x, rows, dx);
    }

    // What an expert reads: a token's row, times its weight where that scales the input and not the output.
    private void SpreadInputs(LayerState state, Place x, long count, Place target)
    {
        var tokens = state.OwnIntegers(BufferId.RowTokens);
        if (_config.Router.ScalesInput)
            _kernels.Spread(x, tokens, state.OwnIntegers(BufferId.RowSlots), state.Own(BufferId.ChoiceWeights), count, _hidden, target);
        else _kernels.Spread(x, tokens, default, default, count, _hidden, target);
    }

    private Place OutputWeights(LayerState state) => _config.Router.ScalesInput ? default : state.Own(BufferId.ChoiceWeights);

    private static Place GateUp(LayerState state) => state.Own(BufferId.RoutedGateUp);

    private Place Up(LayerState state) => _shape.IsClamped ? default : GateUp(state) + _config.Width;

    private void Route(FastPass pass, LayerState state, Place x, long rows)
    {
        var (experts, scores, choice) = (_config.Experts, state.Own(BufferId.RouterScores), state.OwnIntegers(BufferId.Choice));
        _kernels.TimesTransposed(rows, experts, _hidden, 1f, x, _hidden, _kernels.Of(_router), _hidden, 0f, scores, experts);
        if (_routerBias is not null) _kernels.AddRow(_kernels.Of(_routerBias), 1f, rows, experts, scores, experts);
        _kernels.Route(scores, OrNone(_correction), _config.Router, experts, rows, choice, state.Own(BufferId.ChoiceWeights));
        var chosen = new int[rows * _chosen];
        _kernels.Download<int>(choice, chosen);
        if (pass.Balance is { IsCounting: true } balance)
        {
            var all = new float[rows * experts];
            _kernels.Download<float>(scores, all);
            balance.Count(all, chosen);
        }
        var sort = new ExpertSort(chosen, _chosen, experts);
        _kernels.Upload<int>(sort.Tokens, state.OwnIntegers(BufferId.RowTokens));
        _kernels.Upload<int>(sort.Slots, state.OwnIntegers(BufferId.RowSlots));
        _kernels.Upload<int>(sort.Rows, state.OwnIntegers(BufferId.SlotRows));
        state.ExpertStarts = sort.Starts;
    }

    // dx += dl Wr; the scores become the gradient of the logits.
    private void RouterBackward(FastPass pass, LayerState state, long rows, Place dx)
    {
        var (experts, scores) = (_config.Experts, state.Own(BufferId.RouterScores));
        var balance = pass.Balance is null ? default : pass.Memory.Floats(BufferId.ScoreBalance);
        _kernels.RouteGradient(scores, state.OwnIntegers(BufferId.Choice), pass.Memory.Floats(BufferId.ChoiceShares), balance, _config.Router, experts, rows);
        _kernels.Times(rows, _hidden, experts, 1f, scores, experts, _kernels.Of(_router), _hidden, 1f, dx, _hidden);
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

    private Place OrNone(torch.Tensor? tensor) => tensor is null ? default : _kernels.Of(tensor);
}
