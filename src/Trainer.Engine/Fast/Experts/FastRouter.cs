using TorchSharp;
using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Layers;
using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Experts;

/// <summary>Chooses each token's experts by hand, with frozen weights; the gradient of its choice flows back into what it read.</summary>
/// <remarks>
/// <code>
/// l = Wr x, or Wr (x g / (rms(x) sqrt(hidden)));  w = weights of the best, times each expert's own number where there are such
/// </code>
/// </remarks>
internal sealed class FastRouter
{
    private readonly ExpertFeedForward _config;
    private readonly IKernels _kernels;
    private readonly torch.Tensor _weight;
    private readonly torch.Tensor? _bias, _correction, _scale, _expertScales;
    private readonly int _hidden;
    private readonly float _share;

    public FastRouter(ExpertFeedForward config, LayerModules modules, int hidden, IKernels kernels)
    {
        (_config, _kernels, _hidden) = (config, kernels, hidden);
        torch.Tensor? Find(bool isThere, string path) => isThere ? modules.Parameter(path) : null;
        _weight = modules.Parameter($"{config.RouterPath}.{config.Router.WeightName}");
        _bias = Find(config.Router.HasBias, $"{config.RouterPath}.bias");
        _correction = Find(config.Router.HasCorrection, config.CorrectionPath);
        _scale = Find(config.Router.HasNorm, $"{config.RouterPath}.scale");
        _expertScales = Find(config.Router.HasExpertScales, $"{config.RouterPath}.per_expert_scale");
        _share = config.Router.HasNorm ? (float)(1 / Math.Sqrt(hidden)) : 1f;
    }

    /// <summary>Scores and choices of x (rows, hidden), and the rows sorted by expert.</summary>
    public void Forward(FastPass pass, LayerState state, Place x, long rows)
    {
        var (experts, chosen, scores, choice, weights) = (_config.Experts, _config.Router.Chosen, state.Own(BufferId.RouterScores),
            state.OwnIntegers(BufferId.Choice), state.Own(BufferId.ChoiceWeights));
        _kernels.TimesTransposed(rows, experts, _hidden, _share, Input(pass, state, x, rows), _hidden, _kernels.Of(_weight), _hidden, 0f, scores, experts);
        if (_bias is not null) _kernels.AddRow(_kernels.Of(_bias), 1f, rows, experts, scores, experts);
        _kernels.Route(scores, OrNone(_correction), _config.Router, experts, rows, choice, weights);
        if (_expertScales is not null && pass.Memory.Floats(BufferId.Routed) is var each)
        {
            _kernels.Gather(_kernels.Of(_expertScales), choice, rows * chosen, 1, each);
            _kernels.Multiply(weights, each, weights, rows * chosen);
        }
        var known = new int[rows * chosen];
        _kernels.Download<int>(choice, known);
        if (pass.Balance is { IsCounting: true } balance)
        {
            var all = new float[rows * experts];
            _kernels.Download<float>(scores, all);
            balance.Count(all, known);
        }
        var sort = new ExpertSort(known, chosen, experts);
        _kernels.Upload<int>(sort.Tokens, state.OwnIntegers(BufferId.RowTokens));
        _kernels.Upload<int>(sort.Slots, state.OwnIntegers(BufferId.RowSlots));
        _kernels.Upload<int>(sort.Rows, state.OwnIntegers(BufferId.SlotRows));
        state.ExpertStarts = sort.Starts;
    }

    /// <summary>dx += the gradient of x from each weight's share, see <see cref="IExpertKernels.RouteGradient"/>; the scores become the gradient of the
    /// logits.</summary>
    public void Backward(FastPass pass, LayerState state, Place x, long rows, Place dx)
    {
        var (experts, scores) = (_config.Experts, state.Own(BufferId.RouterScores));
        var balance = pass.Balance is null ? default : pass.Memory.Floats(BufferId.ScoreBalance);
        _kernels.RouteGradient(scores, state.OwnIntegers(BufferId.Choice), pass.Memory.Floats(BufferId.ChoiceShares), balance, _config.Router, experts, rows);
        var (target, add) = _scale is null ? (dx, 1f) : (pass.Memory.Floats(BufferId.RouterNormed), 0f);
        _kernels.Times(rows, _hidden, experts, _share, scores, experts, _kernels.Of(_weight), _hidden, add, target, _hidden);
        if (_scale is not null) _kernels.NormBackward(x, _kernels.Of(_scale), 0f, state.Own(BufferId.RouterInverse), target, dx, dx, _hidden, rows);
    }

    private Place Input(FastPass pass, LayerState state, Place x, long rows)
    {
        if (_scale is null) return x;
        var normed = pass.Memory.Floats(BufferId.RouterNormed);
        _kernels.Norm(x, _kernels.Of(_scale), 0f, (float)_config.Epsilon, normed, state.Own(BufferId.RouterInverse), _hidden, rows);
        return normed;
    }

    private Place OrNone(torch.Tensor? tensor) => tensor is null ? default : _kernels.Of(tensor);
}
