using Trainer.Engine.Reference;
using Trainer.Models.Parts;
using static TorchSharp.torch;

namespace Trainer.Engine.Layers.Convolution;

/// <summary>out(C * conv(B * x)) with B, C and x from one projection.</summary>
internal sealed class ShortConvolutionMixer(ShortConvolution config, LayerModules modules, int layer) : ITokenMixer
{
    private readonly LinearModule _in = modules.Linear($"{config.Path}.in_proj");
    private readonly LinearModule _out = modules.Linear($"{config.Path}.out_proj");
    private readonly Tensor _weight = modules.Parameter($"{config.Path}.conv.weight");
    private readonly Tensor? _bias = config.HasBias ? modules.Parameter($"{config.Path}.conv.bias") : null;

    public Tensor Mix(ILayerMath pass, Tensor x, BatchContext context)
    {
        var hidden = x.shape[1];
        var all = pass.Linear(_in, x, context.Key);
        Tensor Part(long index) => all.narrow(1, index * hidden, hidden);
        var mixed = Segments.Apply(context, [Part(0) * Part(2)], (inputs, cache) => CausalConvolution.Apply(inputs[0], _weight, _bias, cache, layer));
        return pass.Linear(_out, pass.Told($"{modules.Path}.{config.Path}", Part(1) * mixed), context.Key);
    }
}
