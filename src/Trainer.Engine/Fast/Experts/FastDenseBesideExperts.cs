using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Layers;
using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Experts;

/// <summary>A dense block and experts on the raw stream by hand, each between norms of its own, added.</summary>
/// <remarks>
/// <code>
/// y = norm1'(dense(norm1(x))) + norm2'(experts(norm2(x)))        the router reads x
/// </code>
/// What the norms before the parts give is made again on the way back.
/// </remarks>
internal sealed class FastDenseBesideExperts : IFastBlock
{
    private readonly IKernels _kernels;
    private readonly FastNorm _norms;
    private readonly FastDense _dense;
    private readonly FastRouter _router;
    private readonly FastRouted _routed;
    private readonly NormModule _beforeDense, _afterDense, _beforeExperts, _afterExperts;
    private readonly int _hidden;

    public FastDenseBesideExperts(DenseBesideExperts config, LoadedDecoder model, LayerModules modules, IKernels kernels, FastLinear linear, FastNorm norms,
        FastParameters parameters)
    {
        (_kernels, _norms, _hidden) = (kernels, norms, model.Config.HiddenSize);
        _dense = new FastDense(config.Dense, modules, kernels, linear);
        _router = new FastRouter(config.Experts, modules, _hidden, kernels);
        _routed = new FastRouted(config.Experts, model, modules, kernels, parameters);
        (_beforeDense, _afterDense) = (modules.Norm("pre_feedforward_layernorm"), modules.Norm("post_feedforward_layernorm_1"));
        (_beforeExperts, _afterExperts) = (modules.Norm("pre_feedforward_layernorm_2"), modules.Norm("post_feedforward_layernorm_2"));
    }

    public void Forward(FastPass pass, LayerState state, Place x, long rows, Place y)
    {
        Place dense = state.Own(BufferId.BesideDense), routed = state.Own(BufferId.BesideRouted), normed = pass.Memory.Floats(BufferId.BesideNormed),
            other = pass.Memory.Floats(BufferId.BesideOther);
        _dense.Forward(pass, state, Normed(_beforeDense, state, BufferId.BeforeDenseInverse, x, normed, rows), rows, dense);
        _router.Forward(pass, state, x, rows);
        _routed.Forward(pass, state, Normed(_beforeExperts, state, BufferId.BeforeRoutedInverse, x, normed, rows), rows, routed);
        Normed(_afterDense, state, BufferId.BesideDenseInverse, dense, normed, rows);
        Normed(_afterExperts, state, BufferId.BesideRoutedInverse, routed, other, rows);
        if (!y.IsNone) _kernels.AddScaled(normed, other, 1f, y, rows * _hidden);
    }

    public void Backward(FastPass pass, LayerState state, Place x, long rows, Place dy, Place dx)
    {
        Place normed = pass.Memory.Floats(BufferId.BesideNormed), gradient = pass.Memory.Floats(BufferId.BesideOther);
        Back(_afterDense, state, BufferId.BesideDenseInverse, state.Own(BufferId.BesideDense), dy, default, gradient, rows);
        Back(_afterExperts, state, BufferId.BesideRoutedInverse, state.Own(BufferId.BesideRouted), dy, default, dx, rows);
        _routed.Backward(pass, state, Normed(_beforeExperts, state, BufferId.BeforeRoutedInverse, x, normed, rows), rows, dx, dx);
        Back(_beforeExperts, state, BufferId.BeforeRoutedInverse, x, dx, default, dx, rows);
        _router.Backward(pass, state, x, rows, dx);
        _dense.Backward(pass, state, Normed(_beforeDense, state, BufferId.BeforeDenseInverse, x, normed, rows), rows, gradient, gradient);
        Back(_beforeDense, state, BufferId.BeforeDenseInverse, x, gradient, dx, dx, rows);
    }

    private Place Normed(NormModule norm, LayerState state, BufferId inverse, Place x, Place target, long rows)
    {
        _norms.Forward(norm, x, target, state.Own(inverse), _hidden, rows);
        return target;
    }

    private void Back(NormModule norm, LayerState state, BufferId inverse, Place x, Place dy, Place residual, Place dx, long rows) =>
        _norms.Backward(norm, x, state.Own(inverse), dy, residual, dx, _hidden, rows);
}
