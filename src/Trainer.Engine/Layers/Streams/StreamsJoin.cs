using Trainer.Engine.Layers.PerLayer;
using Trainer.Engine.Reference;
using Trainer.Models.Parts;
using static TorchSharp.torch;

namespace Trainer.Engine.Layers.Streams;

/// <summary>
/// A layer over several streams s_j: with r(x) = tanh(R (norm(x) / hidden)) the streams are predicted, P_j = s_j + sum over k of C_jk s_k with C from r(s_a);
/// the active one is computed, y; all are corrected, s_j = P_j + (y - P_a) (1 + K_j) with K from r(y).
/// </summary>
internal sealed class StreamsJoin(FourStreams config, LayerModules modules, ITokenMixer mixer, IFeedForward feedForward, PerLayerStep step)
{
    private readonly NormModule? _beforeAttention = modules.Norm(ModuleRole.BeforeAttention), _afterAttention = modules.Norm(ModuleRole.AfterAttention);
    private readonly NormModule? _beforeMlp = modules.Norm(ModuleRole.BeforeMlp), _afterMlp = modules.Norm(ModuleRole.AfterMlp);

    public Tensor Apply(ILayerMath pass, Tensor streams, BatchContext context)
    {
        var (count, tokens, key) = (config.Count, streams.shape[1], context.Key);
        var mixing = Linear(pass, "altup.prediction_coefs", Route(pass, streams.select(0, config.Active), key), key).view(tokens, count, count);
        var predicted = streams + mixing.matmul(streams.transpose(0, 1)).transpose(0, 1);
        var active = predicted.select(0, config.Active);
        var computed = Compute(pass, active, context);
        var correction = Linear(pass, "altup.correction_coefs", Route(pass, computed, key), key) + 1;
        var corrected = predicted + (computed - active).unsqueeze(0) * correction.t().unsqueeze(2);
        var first = corrected.select(0, config.Active);
        if (config.ScalesCorrected) first = first * modules.Parameter("altup.correct_output_scale");
        var more = step.Apply(pass, first, context);
        return cat([corrected.narrow(0, 0, 1), corrected.narrow(0, 1, count - 1) + more.unsqueeze(0)], 0);
    }

    private Tensor Compute(ILayerMath pass, Tensor active, BatchContext context)
    {
        var normed = pass.Norm(_beforeAttention, active);
        var low = normed + pass.Norm(modules.Norm("laurel.post_laurel_norm"),
            Linear(pass, "laurel.linear_right", Linear(pass, "laurel.linear_left", normed, context.Key), context.Key));
        var middle = (active + pass.Norm(_afterAttention, mixer.Mix(pass, normed, context)) + low) * (1 / Math.Sqrt(2));
        return middle + pass.Norm(_afterMlp, feedForward.Forward(pass, pass.Norm(_beforeMlp, middle), context));
    }

    private Tensor Route(ILayerMath pass, Tensor x, StepKey? key) =>
        Linear(pass, "altup.modality_router", pass.Norm(modules.Norm("altup.router_norm"), x) * (1.0 / x.shape[^1]), key).tanh();

    private Tensor Linear(ILayerMath pass, string name, Tensor x, StepKey? key) => pass.Linear(modules.Linear(name), x, key);
}
