using Trainer.Engine.Layers.Attention;
using Trainer.Engine.Reference;
using Trainer.Models.Parts;
using static TorchSharp.torch;

namespace Trainer.Engine.Layers.Latent;

/// <summary>
/// Latent attention: q = Wqb norm(Wqa x); (c, k_r) = Wkva x; (k_p, v) = Wkvb norm(c), head by head. A key is k_p beside the rotated k_r, which all heads share.
/// </summary>
internal sealed class LatentMixer(LatentAttention config, LayerModules modules, int layer) : ITokenMixer
{
    private readonly LinearModule? _direct = config.QueryRank is null ? modules.Linear($"{config.Path}.q_proj") : null;
    private readonly LinearModule? _queryDown = config.QueryRank is null ? null : modules.Linear($"{config.Path}.q_a_proj");
    private readonly LinearModule? _queryUp = config.QueryRank is null ? null : modules.Linear($"{config.Path}.q_b_proj");
    private readonly NormModule? _queryNorm = config.QueryRank is null ? null : modules.Norm($"{config.Path}.q_a_layernorm");
    private readonly LinearModule _down = modules.Linear($"{config.Path}.kv_a_proj_with_mqa");
    private readonly LinearModule _up = modules.Linear($"{config.Path}.kv_b_proj");
    private readonly NormModule _norm = modules.Norm($"{config.Path}.kv_a_layernorm");
    private readonly LinearModule _output = modules.Linear($"{config.Path}.o_proj");
    private readonly AttentionShape _shape = new(config.Heads, config.Heads, config.Scale, null, null, null);

    public Tensor Mix(ILayerMath pass, Tensor x, BatchContext context)
    {
        var tokens = x.shape[0];
        var query = (_direct is not null ? pass.Linear(_direct, x, context.Key)
            : pass.Linear(_queryUp!, pass.Norm(_queryNorm, pass.Linear(_queryDown!, x, context.Key)), context.Key))
            .view(tokens, config.Heads, config.PlainSize + config.RotatedSize);
        query = cat([query.narrow(2, 0, config.PlainSize), context.Rotate(0, query.narrow(2, config.PlainSize, config.RotatedSize))], 2);
        var latent = pass.Linear(_down, x, context.Key);
        var shared = context.Rotate(0, latent.narrow(1, config.KvRank, config.RotatedSize).unsqueeze(1));
        var both = pass.Linear(_up, pass.Norm(_norm, latent.narrow(1, 0, config.KvRank)), context.Key).view(tokens, config.Heads,
            config.PlainSize + config.ValueSize);
        var key = cat([both.narrow(2, 0, config.PlainSize), shared.expand(tokens, config.Heads, config.RotatedSize)], 2);
        var attended = SegmentAttention.Apply(_shape, layer, context, query, key, both.narrow(2, config.PlainSize, config.ValueSize), null);
        return pass.Linear(_output, pass.Told($"{modules.Path}.{config.Path}", attended), context.Key);
    }
}
