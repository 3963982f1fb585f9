using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Weights;
using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Experts;

/// <summary>One matrix of every expert by hand, for rows sorted by expert, with the adapters that may hang on it: one of all experts, or each expert's
/// own.</summary>
internal sealed class ExpertProducts(LoadedDecoder model, ExpertsModule module, bool isDown, IKernels kernels, FastLowRank lowRank, FastParameters parameters)
{
    /// <summary>Length of a row of the input.</summary>
    public long Inputs { get; } = Weight(module.Experts[0], isDown).Columns;

    /// <summary>Length of a row of the result.</summary>
    public long Outputs { get; } = Weight(module.Experts[0], isDown).Rows;

    /// <summary>Whether the backward pass reads the input.</summary>
    public bool IsTrained => model.AdaptersEnabled && (All is not null || module.Experts.Any(expert => Own(expert).Any()));

    private ExpertAdapter? All => isDown ? module.DownAdapter : module.GateUpAdapter;

    /// <summary>y = x W^T + bias and the update, expert by expert; an expert without rows is not read. Where y is none, only what the backward pass needs is
    /// kept.</summary>
    public void Forward(FastPass pass, LayerState state, Place x, Place y)
    {
        foreach (var (index, first, count) in Parts(state))
        {
            var expert = module.Experts[index];
            Place from = x + first * Inputs, to = y + first * Outputs;
            if (!to.IsNone) kernels.FrozenProduct(pass.Memory, Weight(expert, isDown), false, from, count, to, Outputs, 1f);
            foreach (var (update, offset, low) in Updates(pass, state, index, first)) lowRank.Forward(pass, update, from, count, to + offset, Outputs, low);
            if (!to.IsNone && Bias(expert) is { } bias) kernels.AddRow(kernels.Of(bias), 1f, count, Outputs, to, Outputs);
        }
    }

    /// <summary>dx = dy W and the update's, and the update's own gradients, expert by expert; x is only read where something is trained.</summary>
    public void Backward(FastPass pass, LayerState state, Place x, Place dy, Place dx)
    {
        foreach (var (index, first, count) in Parts(state))
        {
            Place from = x + first * Inputs, upper = dy + first * Outputs, to = dx + first * Inputs;
            kernels.FrozenInputGradient(pass.Memory, Weight(module.Experts[index], isDown), false, upper, Outputs, count, to, false, 1f);
            foreach (var (update, offset, low) in Updates(pass, state, index, first))
                lowRank.Backward(pass, update, from, count, upper + offset, Outputs, to, low);
        }
    }

    /// <summary>Adds each row's product with its expert's bias to the row's slot.</summary>
    public void AddBiasDots(LayerState state, Place dy, Place slots, Place target)
    {
        foreach (var (index, first, count) in Parts(state))
            if (Bias(module.Experts[index]) is { } bias) kernels.AddRowDots(dy + first * Outputs, kernels.Of(bias), slots + first, count, (int)Outputs, target);
    }

    private static IFrozenWeight Weight(Expert expert, bool isDown) => isDown ? expert.Down : expert.GateUp;

    private TorchSharp.torch.Tensor? Bias(Expert expert) => isDown ? expert.DownBias : expert.GateUpBias;

    private static IEnumerable<(int Expert, int First, int Count)> Parts(LayerState state)
    {
        var starts = state.ExpertStarts!;
        for (var e = 0; e + 1 < starts.Length; e++)
            if (starts[e + 1] > starts[e]) yield return (e, starts[e], starts[e + 1] - starts[e]);
    }

    private IEnumerable<(LowRank Update, long Offset, Place Low)> Updates(FastPass pass, LayerState state, int expert, int first)
    {
        if (!model.AdaptersEnabled) yield break;
        if (All is { } all) yield return (OfAll(pass, all, expert), 0, state.LowOf(isDown ? ExpertPart.Down : ExpertPart.GateUp) + first * (long)all.Rank);
        foreach (var (part, adapter) in Own(module.Experts[expert]))
        {
            var isHalf = !isDown && module.Blueprint.Experts!.IsGated;
            var outputs = isHalf ? Outputs / 2 : Outputs;
            var offset = isHalf && part == ExpertPart.Up ? outputs : 0;
            yield return (LowRank.Of(adapter, Inputs, outputs, parameters), offset, state.LowOf(part) + first * Widest(part));
        }
    }

    private IEnumerable<(ExpertPart Part, LinearAdapter Adapter)> Own(Expert expert)
    {
        if (isDown)
        {
            if (expert.DownAdapter is { } down) yield return (ExpertPart.Down, down);
            yield break;
        }
        if (expert.Gate is { } gate) yield return (ExpertPart.Gate, gate);
        if (expert.Up is { } up) yield return (ExpertPart.Up, up);
    }

    // Ranks may differ from expert to expert: rooms are cut by the largest.
    private long Widest(ExpertPart part) => model.Adapter.Find(module.Blueprint)!.Experts.Where(one => one.Part == part).Max(one => one.Update.Rank);

    // B's columns of one expert lie apart: they are put together for its products.
    private LowRank OfAll(FastPass pass, ExpertAdapter all, int expert)
    {
        var (rank, experts, upper) = (all.Rank, module.Experts.Count, pass.Memory.Floats(BufferId.ExpertUpper));
        kernels.Pick(parameters.Values(all.B) + expert, experts, Outputs * rank, upper);
        var row = expert * rank * Inputs;
        return new LowRank(rank, Inputs, Outputs, (float)all.Scale, parameters.Values(all.A) + row, upper)
        {
            GradientA = parameters.Gradients(all.A) + row,
            GradientB = parameters.Gradients(all.B) + expert,
            Step = experts,
        };
    }
}
