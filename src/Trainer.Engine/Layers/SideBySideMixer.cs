using static TorchSharp.torch;

namespace Trainer.Engine;

/// <summary>Attention and a state-space mixer on the same input, added.</summary>
internal sealed class SideBySideMixer(SideBySide config, DecoderLayer layer) : ITokenMixer
{
    private readonly AttentionMixer _attention = new(config.Attention, layer);
    private readonly Mamba2Mixer _mamba = new(config.Mamba, layer.Modules, layer.Index);

    public Tensor Mix(DecoderPass pass, Tensor x, BatchContext context)
    {
        var attended = _attention.Mix(pass, config.AttentionInput == 1 ? x : x * config.AttentionInput, context);
        return attended * config.AttentionOutput + _mamba.Mix(pass, x, context) * config.MambaOutput;
    }
}
