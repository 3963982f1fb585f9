using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Engine;

/// <summary>
/// One visit of the decoder with torch operators: embedding, layers, final norm, head. Whether a graph is built is the caller's choice (no_grad).
/// The residual stream is float32 [T, hidden].
/// </summary>
internal sealed class DecoderPass(CausalModel model, ScalarType compute)
{
    private readonly ModelConfig _config = model.Config;

    /// <summary>Exceptions of backward passes; look at it after each.</summary>
    public BackwardFault Fault { get; } = new();

    /// <summary>Told the output of every module, by its name, as it is computed; null tells nobody.</summary>
    public Action<string, Tensor>? Seen { get; init; }

    /// <summary>Embeddings [T, hidden], outside any graph.</summary>
    public Tensor Embed(BatchContext context)
    {
        using var quiet = no_grad();
        Tensor rows;
        if (model.AdaptersEnabled && model.Embedding.Trained is { } trained) rows = model.Parameters.Value(trained).index_select(0, context.TokenIds);
        else rows = FrozenRows(context);
        if (model.AdaptersEnabled && model.Embedding.Adapter is { } adapter) rows = EmbeddingMath.Rows(model.Parameters, model.Embedding, adapter, context.TokenIds, rows);
        return _config.EmbeddingMultiplier == 1 ? rows : rows * (float)_config.EmbeddingMultiplier;
    }

    /// <summary>Rows of the frozen table [T, hidden], before any multiplier.</summary>
    public Tensor FrozenRows(BatchContext context)
    {
        using var scope = NewDisposeScope();
        if (model.Embedding.Weight is DenseWeight { Stored: var table })
            return table.index_select(0, context.TokenIds.cpu()).to(ScalarType.Float32).to(context.TokenIds.device).MoveToOuterDisposeScope();
        throw new InvalidOperationException($"an embedding held as {model.Embedding.Weight.Form}");
    }

    /// <summary>One layer on [T, hidden].</summary>
    public Tensor Layer(DecoderLayer layer, Tensor hidden, BatchContext context)
    {
        hidden = Add(hidden, Norm(layer.AfterAttention, Attention(layer, Norm(layer.BeforeAttention, hidden), context)));
        return Told($"model.layers.{layer.Index}", Add(hidden, Norm(layer.AfterMlp, Mlp(layer, Norm(layer.BeforeMlp, hidden), context))));
    }

    /// <summary>The norm before the head.</summary>
    public Tensor FinalNorm(Tensor hidden) => Norm(model.FinalNorm, hidden);

    /// <summary>Logits [n, vocabulary] of normed hidden states [n, hidden].</summary>
    public Tensor Head(Tensor hidden, StepKey? key)
    {
        var logits = Linear(model.Head, hidden, key);
        if (_config.LogitDivisor != 1) logits = logits / _config.LogitDivisor;
        return _config.LogitSoftCap is { } cap ? (logits / cap).tanh() * cap : logits;
    }

    private Tensor Add(Tensor residual, Tensor block) => residual + (_config.ResidualMultiplier == 1 ? block : block * _config.ResidualMultiplier);

    private Tensor Attention(DecoderLayer layer, Tensor x, BatchContext context)
    {
        var (heads, kvHeads, size) = (_config.Heads, _config.KvHeads, _config.HeadSize);
        Tensor query, key, value;
        if (layer.Qkv is { } fused)
        {
            var all = Linear(fused, x, context.Key);
            query = all.narrow(1, 0, heads * size);
            key = all.narrow(1, heads * size, kvHeads * size);
            value = all.narrow(1, (heads + kvHeads) * size, kvHeads * size);
        }
        else
        {
            query = Linear(layer.Query!, x, context.Key);
            key = Linear(layer.Key!, x, context.Key);
            value = Linear(layer.Value!, x, context.Key);
        }
        if (_config.QkNorm == QkNorm.FullWidth) (query, key) = (Norm(layer.QueryNorm, query), Norm(layer.KeyNorm, key));
        var tokens = x.shape[0];
        query = query.reshape(tokens, heads, size);
        key = key.reshape(tokens, kvHeads, size);
        value = value.reshape(tokens, kvHeads, size);
        if (_config.QkNorm == QkNorm.PerHead) (query, key) = (Norm(layer.QueryNorm, query), Norm(layer.KeyNorm, key));
        if (layer.Config.Rope >= 0)
        {
            var (cos, sin) = context.Rotary(layer.Config.Rope);
            (query, key) = (Rotate(query, cos, sin), Rotate(key, cos, sin));
        }
        return Linear(layer.Output, Told($"model.layers.{layer.Index}.self_attn", SegmentAttention.Apply(_config, layer, context, query, key, value)), context.Key);
    }

    private Tensor Mlp(DecoderLayer layer, Tensor x, BatchContext context)
    {
        Tensor gate, up;
        if (layer.GateUp is { } fused)
        {
            var both = Linear(fused, x, context.Key);
            gate = both.narrow(1, 0, _config.IntermediateSize);
            up = both.narrow(1, _config.IntermediateSize, _config.IntermediateSize);
        }
        else
        {
            gate = Linear(layer.Gate!, x, context.Key);
            up = Linear(layer.Up!, x, context.Key);
        }
        var activated = _config.Activation switch
        {
            Activation.Silu => nn.functional.silu(gate),
            Activation.GeluTanh => GeluTanh(gate),
            _ => nn.functional.gelu(gate),
        };
        return Linear(layer.Down, activated * up, context.Key);
    }

    private static Tensor GeluTanh(Tensor x) => 0.5 * x * (1 + (Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)).tanh());

    private Tensor Norm(NormModule? norm, Tensor x)
    {
        if (norm is null) return x;
        var weight = model.AdaptersEnabled && norm.Trained is { } trained ? model.Parameters.Value(trained) : norm.Weight;
        var scaled = x * (x.square().mean([-1], keepdim: true) + _config.NormEpsilon).rsqrt();
        return Told(norm.Name, scaled * (_config.NormWeightPlusOne ? weight + 1 : weight));
    }

    private Tensor Told(string name, Tensor output)
    {
        Seen?.Invoke(name, output);
        return output;
    }

    // Rotates pairs (i, i + n/2) of the first n elements of each head; the rest pass.
    private static Tensor Rotate(Tensor x, Tensor cos, Tensor sin)
    {
        var (half, size) = (cos.shape[2], x.shape[2]);
        var (first, second) = (x.narrow(2, 0, half), x.narrow(2, half, half));
        var (low, high) = (first * cos - second * sin, second * cos + first * sin);
        return 2 * half == size ? cat([low, high], 2) : cat([low, high, x.narrow(2, 2 * half, size - 2 * half)], 2);
    }

    private Tensor Linear(LinearModule linear, Tensor x, StepKey? key)
    {
        var on = model.AdaptersEnabled;
        var bias = on && linear.TrainedBias is { } trainedBias ? model.Parameters.Value(trainedBias) : linear.Bias;
        var product = on && linear.TrainedWeight is { } trained
            ? x.matmul(model.Parameters.Value(trained).t())
            : FrozenLinear.Apply(x, linear.Weight, compute, Fault);
        if (on && linear.Adapter is { } adapter) product = AdapterMath.Add(model.Parameters, linear, adapter, x, product, key, compute, Fault);
        return Told(linear.Name, bias is null ? product : product + bias);
    }
}
