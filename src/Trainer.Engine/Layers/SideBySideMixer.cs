using Trainer.Engine.Layers.Attention;
using Trainer.Engine.Layers.Mamba;
using Trainer.Engine.Reference;
using Trainer.Models.Parts;
using static TorchSharp.torch;

namespace Trainer.Engine.Layers;

/// <summary>Attention and a state-space mixer on the same input, added.</summary>
internal sealed class SideBySideMixer(SideBySide config, LayerModules modules, int index) : ITokenMixer
{
    private readonly AttentionMixer _attention = new(config.Attention, modules, index);
    private readonly Mamba2Mixer _mamba = new(config.Mamba, modules, index);

    public Tensor Mix(ILayerMath pass, Tensor x, BatchContext context)
    {
        var attended = _attention.Mix(pass, config.AttentionInput == 1 ? x : x * config.AttentionInput, context);
        return attended * config.AttentionOutput + _mamba.Mix(pass, x, context) * config.MambaOutput;
    }
}
