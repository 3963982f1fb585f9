using Trainer.Engine.Dropout;
using Trainer.Engine.Layers.Dense;
using Trainer.Engine.Reference;
using Trainer.Models.Parts;
using static TorchSharp.torch;

namespace Trainer.Engine.Layers.Experts;

/// <summary>Sends each token to its experts: tokens are sorted by expert once, an expert without tokens is never written out.</summary>
internal sealed class ExpertBlock : IFeedForward
{
    private readonly ExpertFeedForward _config;
    private readonly ExpertsModule _experts;
    private readonly DenseBlock? _shared;
    private readonly LinearModule? _sharedGate, _in, _out;

    public ExpertBlock(ExpertFeedForward config, LayerModules modules)
    {
        _config = config;
        _experts = modules.Experts!;
        Router = new Router(config, modules);
        if (config.LatentWidth is not null) (_in, _out) = (modules.Linear(config.LatentPaths.In), modules.Linear(config.LatentPaths.Out));
        if (config.Shared is not { } shared) return;
        _shared = new DenseBlock(shared, modules);
        if (config.SharedGateName is { } gate) _sharedGate = modules.Linear($"{config.Path}.{gate}");
    }

    /// <summary>Who chooses.</summary>
    public Router Router { get; }

    public Tensor Forward(ILayerMath pass, Tensor x, BatchContext context)
    {
        var inside = _in is null ? x : pass.Linear(_in, x, context.Key);
        var routed = Routed(pass, inside, Router.Choose(x, context), context);
        if (_out is not null) routed = pass.Linear(_out, routed, context.Key);
        if (_shared is null) return routed;
        var shared = _shared.Forward(pass, x, context);
        if (_sharedGate is not null) shared = shared * pass.Linear(_sharedGate, x, context.Key).sigmoid();
        return routed + shared;
    }

    /// <summary>The sum over the chosen experts [T, width of x].</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="x">What the experts read [T, hidden], or [T, latent width].</param>
    /// <param name="choice">Who was chosen, with what weight.</param>
    /// <param name="context">The batch.</param>
    public Tensor Routed(ILayerMath pass, Tensor x, ExpertChoice choice, BatchContext context)
    {
        var (rows, parts) = (new List<Tensor>(), new List<Tensor>());
        foreach (var (expert, tokens, slots) in choice.ByExpert(_config.Experts))
        {
            var at = tensor(tokens, dtype: ScalarType.Int64, device: x.device);
            var weight = choice.Weights.reshape(-1).index_select(0, tensor(slots, dtype: ScalarType.Int64, device: x.device)).unsqueeze(1);
            var input = x.index_select(0, at);
            var output = _config.Router.ScalesInput ? Compute(pass, expert, input * weight, context) : Compute(pass, expert, input, context) * weight;
            rows.Add(at);
            parts.Add(output);
        }
        return zeros_like(x).index_add(0, cat(rows, 0), cat(parts, 0), 1);
    }

    private Tensor Compute(ILayerMath pass, int index, Tensor x, BatchContext context)
    {
        var expert = _experts.Experts[index];
        var both = pass.Frozen(expert.GateUp, x);
        if (pass.AdaptersEnabled)
        {
            if (_experts.GateUpAdapter is { } adapter) both = both + Update(pass, adapter, index, x);
            if (!_config.IsGated) both = both + Own(pass, expert.Up, x, context, _config.Width);
            else if (expert.Gate is not null || expert.Up is not null)
                both = both + cat([Own(pass, expert.Gate, x, context, _config.Width), Own(pass, expert.Up, x, context, _config.Width)], 1);
        }
        if (expert.GateUpBias is { } bias) both = both + bias;
        var wide = _config.IsClamped ? Clamped(both) : !_config.IsGated ? Activations.Apply(_config.Activation, both)
            : Activations.Apply(_config.Activation, both.narrow(1, 0, _config.Width)) * both.narrow(1, _config.Width, _config.Width);
        var down = pass.Frozen(expert.Down, wide);
        if (pass.AdaptersEnabled)
        {
            if (_experts.DownAdapter is { } adapter) down = down + Update(pass, adapter, index, wide);
            if (expert.DownAdapter is { } own) down = down + Own(pass, own, wide, context, (int)x.shape[1]);
        }
        return expert.DownBias is { } downBias ? down + downBias : down;
    }

    // Gates and ups alternate.
    private Tensor Clamped(Tensor both)
    {
        var pairs = both.view(both.shape[0], _config.Width, 2);
        var (gate, up) = (pairs.select(2, 0).clamp_max(7), pairs.select(2, 1).clamp(-7, 7));
        return (up + 1) * gate * (gate * 1.702).sigmoid();
    }

    private Tensor Update(ILayerMath pass, ExpertAdapter adapter, int expert, Tensor x)
    {
        var a = pass.Parameters.Value(adapter.A).view(_config.Experts, adapter.Rank, -1).select(0, expert);
        var b = pass.Parameters.Value(adapter.B).view(-1, adapter.Rank, _config.Experts).select(2, expert);
        return x.matmul(a.t()).matmul(b.t()) * adapter.Scale;
    }

    private static Tensor Own(ILayerMath pass, LinearAdapter? adapter, Tensor x, BatchContext context, int width)
    {
        if (adapter is null) return zeros(x.shape[0], width, dtype: ScalarType.Float32, device: x.device);
        var dropped = adapter.Dropout > 0 && context.Key is { } key
            ? x * DropoutMask.Make(key, adapter.Index, x.shape[0], x.shape[1], adapter.Dropout, x.device) : x;
        return dropped.matmul(pass.Parameters.Value(adapter.A).t()).matmul(pass.Parameters.Value(adapter.B).t()) * adapter.Scale;
    }
}
