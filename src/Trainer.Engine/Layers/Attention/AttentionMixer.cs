using Trainer.Engine.Reference;
using Trainer.Models.Config;
using Trainer.Models.Parts;
using static TorchSharp.torch;

namespace Trainer.Engine.Layers.Attention;

/// <summary>Attention with a family's options: projections, norms on heads, rotary embedding, scores, output.</summary>
internal sealed class AttentionMixer(SelfAttention config, LayerModules modules, int index) : ITokenMixer
{
    private readonly LinearModule? _qkv = modules.Linear(ModuleRole.Qkv), _query = modules.Linear(ModuleRole.Query), _key = modules.Linear(ModuleRole.Key),
        _value = modules.Linear(ModuleRole.Value);
    private readonly LinearModule _output = modules.Linear(ModuleRole.Output)!;
    private readonly NormModule? _queryNorm = modules.Norm(ModuleRole.QueryNorm), _keyNorm = modules.Norm(ModuleRole.KeyNorm);
    private readonly Tensor? _sinks = config.HasSinks ? modules.Parameter($"{config.Path}.sinks") : null;
    private readonly AttentionShape _shape = new(config);

    public Tensor Mix(ILayerMath pass, Tensor x, BatchContext context)
    {
        if (config.KeysOfLayer is { } source) return Borrowing(pass, x, source, context);
        var (query, key, value, gate) = Project(pass, x, context);
        if (config.QkNorm == QkNorm.FullWidth) (query, key) = (pass.Norm(_queryNorm, query), pass.Norm(_keyNorm, key));
        if (config.Clip is { } limit) (query, key, value) = (query.clamp(-limit, limit), key.clamp(-limit, limit), value.clamp(-limit, limit));
        (query, key, value) = (Heads(query, config.Heads), Heads(key, config.KvHeads), Heads(value, config.KvHeads));
        if (config.NormsValues) value = Norms.RootMeanSquare(value, config.HeadNorm.Epsilon);
        if (config.KeyMultiplier != 1) key = key * config.KeyMultiplier;
        if (!config.NormsRotated) (query, key) = NormHeads(pass, query, key);
        if (config.Rope >= 0) (query, key) = (context.Rotate(config.Rope, query), context.Rotate(config.Rope, key));
        if (config.NormsRotated) (query, key) = NormHeads(pass, query, key);
        if (config.Temperature is { } temperature) query = query * context.Temperature(temperature);
        if (config.IsSource)
        {
            context.Share(KeysOf(index), key);
            context.Share(ValuesOf(index), value);
        }
        var attended = SegmentAttention.Apply(_shape, index, context, query, key, value, _sinks);
        if (gate is not null) attended = attended * gate.sigmoid();
        return pass.Linear(_output, pass.Told($"{pass.LayerName(index)}.{config.Path}", attended), context.Key);
    }

    private (Tensor Query, Tensor Key, Tensor Value, Tensor? Gate) Project(ILayerMath pass, Tensor x, BatchContext context)
    {
        if (_qkv is { } fused)
        {
            long query = config.Heads * config.HeadSize, kv = config.KvHeads * config.HeadSize;
            var all = pass.Linear(fused, x, context.Key);
            return (all.narrow(1, 0, query), all.narrow(1, query, kv), all.narrow(1, query + kv, kv), null);
        }
        var (first, key) = (pass.Linear(_query!, x, context.Key), pass.Linear(_key!, x, context.Key));
        var value = config.ValuesAreKeys ? key : pass.Linear(_value!, x, context.Key);
        if (!config.HasGate) return (first, key, value, null);
        // Each head's rows hold its query, then its gate.
        var both = first.view(x.shape[0], config.Heads, 2, config.HeadSize);
        Tensor Half(long index) => both.select(2, index).reshape(x.shape[0], config.Heads * config.HeadSize);
        return (Half(0), key, value, Half(1));
    }

    private static string KeysOf(int layer) => $"keys of layer {layer}";

    private static string ValuesOf(int layer) => $"values of layer {layer}";

    // Queries alone are its own.
    private Tensor Borrowing(ILayerMath pass, Tensor x, int source, BatchContext context)
    {
        var query = pass.Norm(_queryNorm, Heads(pass.Linear(_query!, x, context.Key), config.Heads));
        if (config.Rope >= 0) query = context.Rotate(config.Rope, query);
        var attended = SegmentAttention.Borrow(_shape, source, context, query, () => (context.Shared(KeysOf(source)), context.Shared(ValuesOf(source))));
        return pass.Linear(_output, pass.Told($"{pass.LayerName(index)}.{config.Path}", attended), context.Key);
    }

    private Tensor Heads(Tensor x, int heads) => x.reshape(x.shape[0], heads, config.HeadSize);

    private (Tensor Query, Tensor Key) NormHeads(ILayerMath pass, Tensor query, Tensor key) => config.QkNorm switch
    {
        QkNorm.PerHead or QkNorm.OwnWeights or QkNorm.OwnWeightsByRow => (pass.Norm(_queryNorm, query), pass.Norm(_keyNorm, key)),
        QkNorm.Unit when config.Rope >= 0 => (Norms.RootMeanSquare(query, config.HeadNorm.Epsilon), Norms.RootMeanSquare(key, config.HeadNorm.Epsilon)),
        _ => (query, key),
    };
}
