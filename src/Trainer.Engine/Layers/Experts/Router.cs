using Trainer.Engine.Reference;
using Trainer.Models.Parts;
using static TorchSharp.torch;

namespace Trainer.Engine.Layers.Experts;

/// <summary>Chooses each token's experts by frozen weights; the weights' gradient flows into the stream.</summary>
internal sealed class Router
{
    private readonly RouterConfig _config;
    private readonly int _experts;
    private readonly Tensor _weight;
    private readonly Tensor? _bias, _correction, _inputScale, _expertScales;
    private readonly double _epsilon;

    public Router(ExpertFeedForward block, LayerModules modules)
    {
        (_config, _experts, _epsilon) = (block.Router, block.Experts, block.Epsilon);
        var path = block.RouterPath;
        _weight = modules.Parameter($"{path}.{_config.WeightName}");
        if (_config.HasNorm) _inputScale = modules.Parameter($"{path}.scale");
        if (_config.HasExpertScales) _expertScales = modules.Parameter($"{path}.per_expert_scale");
        if (_config.HasBias) _bias = modules.Parameter($"{path}.bias");
        if (_config.HasCorrection) _correction = modules.Parameter(block.CorrectionPath);
    }

    /// <summary>The choice for normed hidden states [T, hidden].</summary>
    public ExpertChoice Choose(Tensor x, BatchContext context)
    {
        if (_inputScale is not null) x = Norms.RootMeanSquare(x, _epsilon) * _inputScale * (1 / Math.Sqrt(x.shape[1]));
        var logits = x.matmul(_weight.t());
        if (_bias is not null) logits = logits + _bias;
        var scores = _config.Scores == RouterScores.Sigmoid ? logits.sigmoid() : logits.softmax(-1);
        var indices = Best(_correction is null ? scores : scores + _correction);
        if (_config.BalanceLoss > 0) context.Balance?.Add(scores, indices);
        var weights = scores.gather(1, indices);
        if (_config.IsNormalized) weights = weights / (weights.sum(-1, keepdim: true) + _config.LeastSum);
        if (_config.Scale != 1) weights = weights * _config.Scale;
        if (_expertScales is not null) weights = weights * _expertScales.index_select(0, indices.reshape(-1)).view(indices.shape);
        return new ExpertChoice(indices, weights);
    }

    private Tensor Best(Tensor scores)
    {
        using var quiet = no_grad();
        if (_config.Groups > 1)
        {
            var groups = scores.view(scores.shape[0], _config.Groups, _experts / _config.Groups);
            var best = groups.topk(Math.Min(2, _experts / _config.Groups), -1).values.sum(-1);
            var chosen = best.topk(_config.ChosenGroups, -1).indexes;
            var kept = zeros_like(best).scatter(1, chosen, ones(chosen.shape, dtype: best.dtype, device: best.device));
            scores = groups.masked_fill(kept.eq(0).unsqueeze(2), float.NegativeInfinity).view(scores.shape[0], _experts);
        }
        return scores.topk(_config.Chosen, -1).indexes;
    }
}
