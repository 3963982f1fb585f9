using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Engine;

/// <summary>Builds the modules of a model from its folder: every parameter filled, every tensor consumed.</summary>
internal sealed class ModelLoader(ModelConfig config, ModelLoadOptions options, WeightFiles files)
{
    // A folder that holds any matrix in 4 bits decided itself which matrices stay in full precision.
    private readonly bool _isStoredQuantized = StoredNf4.IsUsedBy(files);

    public (List<DecoderLayer> Layers, EmbeddingModule Embedding, NormModule FinalNorm, LinearModule Head) Build()
    {
        var embedding = new EmbeddingModule("model.embed_tokens", new DenseWeight(files.Take("model.embed_tokens.weight", config.VocabularySize, config.HiddenSize)));
        var layers = Enumerable.Range(0, config.LayerCount).Select(Layer).ToList();
        var norm = Norm("model.norm", config.HiddenSize);
        IFrozenWeight head;
        if (config.TiedEmbeddings)
        {
            if (files.Has("lm_head.weight")) files.TakeCopy("lm_head.weight", "model.embed_tokens.weight");
            head = embedding.Weight;
        }
        else
        {
            head = Matrix("lm_head.weight", config.VocabularySize, config.HiddenSize);
        }
        files.RefuseLeftOver();
        return (layers, embedding, norm, new LinearModule("lm_head", -1, head, null));
    }

    private DecoderLayer Layer(int index)
    {
        var path = $"model.layers.{index}";
        var (query, kv) = (config.Heads * config.HeadSize, config.KvHeads * config.HeadSize);
        var (hidden, wide) = (config.HiddenSize, config.IntermediateSize);
        var fused = config.FusedProjections;
        LinearModule Linear(string name, long outFeatures, long inFeatures, bool bias) => MakeLinear($"{path}.{name}", index, outFeatures, inFeatures, bias);
        NormModule? Optional(string? name) => name is null ? null : Norm($"{path}.{name}", hidden);
        NormModule? Heads(string name, int width) => config.QkNorm switch
        {
            QkNorm.PerHead => Norm($"{path}.self_attn.{name}", config.HeadSize),
            QkNorm.FullWidth => Norm($"{path}.self_attn.{name}", width),
            _ => null,
        };
        return new DecoderLayer
        {
            Index = index,
            Config = config.Layers[index],
            Qkv = fused ? Linear("self_attn.qkv_proj", query + 2 * kv, hidden, config.QkvBias) : null,
            Query = fused ? null : Linear("self_attn.q_proj", query, hidden, config.QkvBias),
            Key = fused ? null : Linear("self_attn.k_proj", kv, hidden, config.QkvBias),
            Value = fused ? null : Linear("self_attn.v_proj", kv, hidden, config.QkvBias),
            Output = Linear("self_attn.o_proj", hidden, query, config.OutputBias),
            GateUp = fused ? Linear("mlp.gate_up_proj", 2 * wide, hidden, config.MlpBias) : null,
            Gate = fused ? null : Linear("mlp.gate_proj", wide, hidden, config.MlpBias),
            Up = fused ? null : Linear("mlp.up_proj", wide, hidden, config.MlpBias),
            Down = Linear("mlp.down_proj", hidden, wide, config.MlpBias),
            BeforeAttention = Optional(config.Norms.BeforeAttention),
            AfterAttention = Optional(config.Norms.AfterAttention),
            BeforeMlp = Optional(config.Norms.BeforeMlp),
            AfterMlp = Optional(config.Norms.AfterMlp),
            QueryNorm = Heads("q_norm", query),
            KeyNorm = Heads("k_norm", kv),
        };
    }

    private LinearModule MakeLinear(string name, int layer, long outFeatures, long inFeatures, bool bias)
    {
        var weight = Matrix($"{name}.weight", outFeatures, inFeatures);
        if (weight is DenseWeight dense && options.Quantize != QuantizeKind.None && !_isStoredQuantized)
        {
            weight = options.Quantize == QuantizeKind.Nf4 ? Nf4Weight.Quantize(dense, options.DoubleQuantize) : Int8Weight.Quantize(dense);
            dense.Dispose();
            files.DropPages($"{name}.weight");
        }
        return new LinearModule(name, layer, weight, bias ? Small($"{name}.bias", outFeatures) : null);
    }

    private IFrozenWeight Matrix(string name, long rows, long columns)
    {
        if (!StoredNf4.Has(files, name)) return new DenseWeight(files.Take(name, rows, columns));
        if (options.Quantize == QuantizeKind.Int8)
            throw new ModelException($"'{files.Folder}' is already quantized as nf4, which --quantize int8 cannot change; leave the option out or take the original model");
        return StoredNf4.Read(files, name, rows, columns);
    }

    private NormModule Norm(string name, long width) => new(name, Small($"{name}.weight", width));

    // Vectors are copied as float32 to the device: they are small and used in every token's arithmetic.
    private Tensor Small(string name, long width)
    {
        using var scope = NewDisposeScope();
        var mapped = files.Take(name, width);
        return mapped.to(ScalarType.Float32, new Device(options.Device), copy: true).DetachFromDisposeScope();
    }
}
