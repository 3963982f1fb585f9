using Trainer.Models.Parts;
using static TorchSharp.torch;

namespace Trainer.Engine.Weights;

/// <summary>The matrices of single experts as [out, in], seen in the tensors of all experts however those lie.</summary>
internal static class PlainExperts
{
    /// <summary>One expert's matrix as its tensor has it: gates and ups together, or downs.</summary>
    /// <param name="block">The experts.</param>
    /// <param name="all">The tensor of all of them; the matrix is a view of it.</param>
    /// <param name="expert">Zero-based.</param>
    public static IFrozenWeight Of(ExpertFeedForward block, Tensor all, int expert)
    {
        var dense = new DenseWeight(all.select(0, expert).DetachFromDisposeScope());
        return block.IsTransposed ? new TransposedWeight(dense) : dense;
    }

    /// <summary>The gates or the ups in a matrix of both, which must outlive them.</summary>
    public static IFrozenWeight Half(ExpertFeedForward block, IFrozenWeight both, ExpertPart part)
    {
        if (!block.IsGated) return new SelectedRows(both, 0, 1, block.Width);
        var isUp = part == ExpertPart.Up;
        return block.IsClamped ? new SelectedRows(both, isUp ? 1 : 0, 2, block.Width) : new SelectedRows(both, isUp ? block.Width : 0, 1, block.Width);
    }

    /// <summary>The matrix of both of its halves, which are its own from then on.</summary>
    public static IFrozenWeight Joined(ExpertFeedForward block, IFrozenWeight gate, IFrozenWeight up)
        => block.IsClamped ? new AlternatingWeight(gate, up) : new StackedWeight(gate, up);
}
