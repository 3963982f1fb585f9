using Trainer.Engine.Fast.Operations;
using Trainer.Models.Parts;
using static TorchSharp.torch;

namespace Trainer.Engine.Fast.Libtorch;

internal sealed unsafe partial class TorchKernels
{
    public void Route(Place scores, Place correction, RouterConfig router, int experts, long tokens, Place choice, Place weights)
    {
        using var scope = NewDisposeScope();
        var all = Rows(scores, tokens, experts);
        all.copy_(router.Scores == RouterScores.Sigmoid ? all.sigmoid() : all.softmax(-1));
        var best = Best(correction.IsNone ? all : all + Row(correction, experts), router, experts).topk(router.Chosen, -1).indexes;
        Rows(choice, tokens, router.Chosen).copy_(best);
        var chosen = all.gather(1, best);
        if (router.IsNormalized) chosen = chosen / (chosen.sum(-1, keepdim: true) + router.LeastSum);
        Rows(weights, tokens, router.Chosen).copy_(chosen * router.Scale);
    }

    public void RouteGradient(Place scores, Place choice, Place shares, Place balance, RouterConfig router, int experts, long tokens)
    {
        using var scope = NewDisposeScope();
        var (all, chosen, parts) = (Rows(scores, tokens, experts), Rows(choice, tokens, router.Chosen).to(ScalarType.Int64), Rows(shares, tokens,
            router.Chosen));
        var picked = all.gather(1, chosen);
        if (router.IsNormalized) parts = parts - picked / (picked.sum(-1, keepdim: true) + router.LeastSum) * parts.sum(-1, keepdim: true);
        var upper = balance.IsNone ? zeros_like(all) : all * Row(balance, experts);
        upper.scatter_add_(1, chosen, parts);
        all.copy_(router.Scores == RouterScores.Sigmoid ? (1 - all) * upper : upper - all * upper.sum(-1, keepdim: true));
    }

    public void Spread(Place source, Place rows, Place slots, Place weights, long count, int width, Place target)
    {
        using var scope = NewDisposeScope();
        var taken = Rows(source, TensorMemory.Left(source) / width, width).index_select(0, Index(rows, count));
        if (!weights.IsNone) taken = taken * Row(weights, TensorMemory.Left(weights)).index_select(0, Index(slots, count)).unsqueeze(1);
        Rows(target, count, width).copy_(taken);
    }

    public void Collect(Place source, Place places, Place weights, int chosen, long tokens, int width, Place target)
    {
        using var scope = NewDisposeScope();
        var rows = Rows(source, tokens * chosen, width).index_select(0, Index(places, tokens * chosen)).view(tokens, chosen, width);
        if (!weights.IsNone) rows = rows * Rows(weights, tokens, chosen).unsqueeze(2);
        Rows(target, tokens, width).copy_(rows.sum([1]));
    }

    public void RowDots(Place a, Place b, Place slots, long count, int width, Place target)
    {
        using var scope = NewDisposeScope();
        Row(target, TensorMemory.Left(target)).index_copy_(0, Index(slots, count), (Rows(a, count, width) * Rows(b, count, width)).sum([1]));
    }

    public void AddRowDots(Place a, Place b, Place slots, long count, int width, Place target)
    {
        using var scope = NewDisposeScope();
        Row(target, TensorMemory.Left(target)).index_add_(0, Index(slots, count), Rows(a, count, width).mv(Row(b, width)), 1);
    }

    public void GateRows(Place gate, Place x, int width, long rows, Place y, bool add)
    {
        using var scope = NewDisposeScope();
        var (gated, target) = (Rows(gate, rows, 1).sigmoid() * Rows(x, rows, width), Rows(y, rows, width));
        if (add) target.add_(gated);
        else target.copy_(gated);
    }

    public void GateRowsGradient(Place gate, Place x, Place dy, int width, long rows, Place target)
    {
        using var scope = NewDisposeScope();
        var share = Row(gate, rows).sigmoid();
        Row(target, rows).copy_((Rows(x, rows, width) * Rows(dy, rows, width)).sum([1]) * share * (1 - share));
    }

    public void Pick(Place source, long step, long count, Place target)
    {
        using var scope = NewDisposeScope();
        Row(target, count).copy_(TensorMemory.View(source, [count], [step]));
    }

    private static Tensor Best(Tensor scores, RouterConfig router, int experts)
    {
        if (router.Groups == 1) return scores;
        var groups = scores.view(scores.shape[0], router.Groups, experts / router.Groups);
        var best = groups.topk(Math.Min(2, experts / router.Groups), -1).values.sum(-1);
        var chosen = best.topk(router.ChosenGroups, -1).indexes;
        var kept = zeros_like(best).scatter(1, chosen, ones_like(best).narrow(1, 0, router.ChosenGroups));
        return groups.masked_fill(kept.eq(0).unsqueeze(2), float.NegativeInfinity).view(scores.shape[0], experts);
    }
}
