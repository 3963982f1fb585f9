using Trainer.Models.Parts;
using Trainer.Numerics.Elementwise;

namespace Trainer.Engine.Fast.Cpu;

/// <summary>The experts of one token, and the gradient of their scores.</summary>
/// <remarks>
/// With p the scores, w the weights of the chosen and q = w dw:
/// <code>
/// w = c p,  or normalised  w = c p / sum over the chosen
/// p dp = q,  or normalised  q - (p / sum) sum(q)
/// softmax: dl = p dp - p sum(p dp);  sigmoid: dl = (1 - p) p dp
/// </code>
/// The scores' gradients are only needed times the scores, so nothing is divided by a score that may be 0.
/// </remarks>
internal sealed unsafe class RouterRow(RouterConfig router, int experts)
{
    private readonly float[] _seen = new float[experts];
    private readonly float[] _groups = new float[router.Groups];
    private readonly bool[] _taken = new bool[Math.Max(experts, router.Groups)];

    public void Choose(float* scores, float* correction, int* choice, float* weights)
    {
        Score(scores);
        for (var e = 0; e < experts; e++) _seen[e] = correction == null ? scores[e] : scores[e] + correction[e];
        if (router.Groups > 1) HideGroups();
        _taken.AsSpan().Clear();
        var sum = 0f;
        for (var j = 0; j < router.Chosen; j++)
        {
            choice[j] = Best(_seen, experts);
            sum += weights[j] = scores[choice[j]];
        }
        for (var j = 0; j < router.Chosen; j++)
        {
            if (router.IsNormalized) weights[j] /= sum + (float)router.LeastSum;
            if (router.Scale != 1) weights[j] *= (float)router.Scale;
        }
    }

    public void Gradient(float* scores, int* choice, float* shares, float* balance)
    {
        float sum = 0, all = 0, total = 0;
        for (var j = 0; j < router.Chosen; j++) (sum, all) = (sum + scores[choice[j]], all + shares[j]);
        for (var e = 0; e < experts; e++) _seen[e] = balance == null ? 0f : scores[e] * balance[e];
        sum += (float)router.LeastSum;
        for (var j = 0; j < router.Chosen; j++) _seen[choice[j]] += router.IsNormalized ? shares[j] - scores[choice[j]] / sum * all : shares[j];
        foreach (var part in _seen) total += part;
        for (var e = 0; e < experts; e++) scores[e] = router.Scores == RouterScores.Sigmoid ? (1f - scores[e]) * _seen[e] : _seen[e] - scores[e] * total;
    }

    private void Score(float* logits)
    {
        if (router.Scores == RouterScores.Sigmoid)
        {
            for (var e = 0; e < experts; e++) logits[e] = 1f / (1f + Exponential.Of(-logits[e]));
            return;
        }
        var inverse = 1f / SoftmaxRow.Forward(logits, 0, experts, experts, out _);
        for (var e = 0; e < experts; e++) logits[e] *= inverse;
    }

    // Only the groups whose two best experts score highest together stay.
    private void HideGroups()
    {
        var size = experts / router.Groups;
        for (var g = 0; g < router.Groups; g++)
        {
            var (first, second) = (float.NegativeInfinity, float.NegativeInfinity);
            for (var e = g * size; e < (g + 1) * size; e++)
            {
                if (_seen[e] > first) (first, second) = (_seen[e], first);
                else if (_seen[e] > second) second = _seen[e];
            }
            _groups[g] = size > 1 ? first + second : first;
        }
        _taken.AsSpan().Clear();
        for (var g = 0; g < router.ChosenGroups; g++) Best(_groups, router.Groups);
        for (var g = 0; g < router.Groups; g++)
            if (!_taken[g]) _seen.AsSpan(g * size, size).Fill(float.NegativeInfinity);
    }

    // The largest that is not taken yet, the first of equals; it is taken now.
    private int Best(float[] values, int count)
    {
        var best = -1;
        for (var i = 0; i < count; i++)
            if (!_taken[i] && (best < 0 || values[i] > values[best])) best = i;
        _taken[best] = true;
        return best;
    }
}
