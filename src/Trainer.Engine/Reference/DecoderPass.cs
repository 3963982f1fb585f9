using TorchSharp;
using Trainer.Engine.Layers;
using Trainer.Engine.Layers.PerLayer;
using Trainer.Engine.Layers.Streams;
using Trainer.Engine.Weights;
using Trainer.Models.Config;
using static TorchSharp.torch;

namespace Trainer.Engine.Reference;

/// <summary>
/// One visit of the decoder with torch operators: embedding, layers, final norm, head. Whether a graph is built is the caller's choice (no_grad).
/// The residual stream is float32 [T, hidden].
/// </summary>
internal sealed class DecoderPass(LoadedDecoder model, ScalarType compute) : ILayerMath
{
    private readonly ModelConfig _config = model.Config;
    private readonly PerLayerInputs? _small = model.Config.PerLayerInput is null ? null : new(model.Config, model.Ends);
    private readonly StreamEnds? _streams = model.Config.Streams is { } streams ? new(streams, model.Ends) : null;

    /// <summary>Whether anything is computed between the embeddings and the first layer.</summary>
    public bool HasEnds => _small is not null || _streams is not null;

    /// <summary>What the first layer reads: the embeddings [T, hidden], or several streams made of them [streams, T, hidden]; small inputs are shared with the
    /// layers.</summary>
    public Tensor Enter(Tensor embedded, BatchContext context)
    {
        if (_small is not null) context.Share(PerLayerInputs.Name, _small.Make(this, embedded, context));
        return _streams is null ? embedded : _streams.Enter(this, embedded, context);
    }

    /// <summary>Exceptions of backward passes; look at it after each.</summary>
    public BackwardFault Fault { get; } = new();

    /// <summary>Told the output of every module, by its name, as it is computed; null tells nobody.</summary>
    public Action<string, Tensor>? Seen { get; init; }

    /// <summary>Told what each linear layer reads, by the layer's name, before it is computed; null tells nobody.</summary>
    public Action<string, Tensor>? Read { get; init; }

    /// <summary>Embeddings [T, hidden], outside any graph.</summary>
    public Tensor Embed(BatchContext context)
    {
        using var quiet = no_grad();
        Tensor rows;
        if (model.AdaptersEnabled && model.Embedding.Trained is { } trained) rows = model.Parameters.Value(trained).index_select(0, context.TokenIds);
        else rows = FrozenRows(context);
        if (model.AdaptersEnabled && model.Embedding.Rows is { } own) rows = EmbeddingMath.WithRows(model.Parameters, own, context.Batch.TokenIds, rows);
        if (model.AdaptersEnabled && model.Embedding.Adapter is { } adapter)
            rows = EmbeddingMath.Rows(model.Parameters, model.Embedding, adapter, context.TokenIds, rows);
        if (context.Batch.EmbeddingNoise > 0 && context.Key is { } key) rows = rows + Noise(context.Batch, key).to(rows.device);
        return _config.EmbeddingMultiplier == 1 ? rows : rows * (float)_config.EmbeddingMultiplier;
    }

    private Tensor Noise(TokenBatch batch, StepKey key)
    {
        var noise = new float[batch.Length * _config.HiddenSize];
        EmbeddingNoise.Add(noise, batch, key, _config.HiddenSize);
        return tensor(noise, [batch.Length, _config.HiddenSize]);
    }

    /// <summary>Rows of the frozen table [T, hidden], before any multiplier.</summary>
    public Tensor FrozenRows(BatchContext context)
    {
        return EmbeddingMath.Frozen(model.Embedding.Weight, context.TokenIds);
    }

    /// <inheritdoc/>
    public string LayerName(int layer) => $"{_config.TextPath}.layers.{layer}";

    /// <inheritdoc/>
    public ParameterBuffer Parameters => model.Parameters;

    /// <inheritdoc/>
    public bool AdaptersEnabled => model.AdaptersEnabled;

    /// <summary>One layer on [T, hidden].</summary>
    public Tensor Layer(DecoderLayer layer, Tensor hidden, BatchContext context)
    {
        if (layer.Streams is { } streams) return Told(LayerName(layer.Index), streams.Apply(this, hidden, context));
        if (layer.Config.IsParallel)
        {
            var normed = Norm(layer.BeforeAttention, hidden);
            var mixed = Norm(layer.AfterAttention, layer.Mixer!.Mix(this, normed, context));
            hidden = Add(hidden, mixed + Norm(layer.AfterMlp, layer.FeedForward!.Forward(this, normed, context)));
        }
        else
        {
            if (layer.Mixer is { } mixer) hidden = Add(hidden, Norm(layer.AfterAttention, mixer.Mix(this, Norm(layer.BeforeAttention, hidden), context)));
            if (layer.FeedForward is { } block) hidden = Add(hidden, Norm(layer.AfterMlp, block.Forward(this, Norm(layer.BeforeMlp, hidden), context)));
        }
        if (layer.PerLayer is { } small) hidden = hidden + small.Apply(this, hidden, context);
        if (layer.Config.HasScalar) hidden = hidden * layer.Modules.Parameter("layer_scalar");
        return Told(LayerName(layer.Index), hidden);
    }

    /// <summary>The norm before the head.</summary>
    public Tensor FinalNorm(Tensor hidden) => Norm(model.FinalNorm, _streams is null ? hidden : _streams.Leave(this, hidden, null));

    /// <summary>Logits [n, vocabulary] of normed hidden states [n, hidden].</summary>
    public Tensor Head(Tensor hidden, StepKey? key)
    {
        var logits = Linear(model.Head, hidden, key);
        // The trained rows' logits in place of the frozen ones'; the rest of the product stays.
        if (model.AdaptersEnabled && model.Head.Rows is { } own)
            logits = logits.index_copy(1, tensor(own.Ids.Select(id => (long)id).ToArray(), dtype: ScalarType.Int64, device: hidden.device),
                hidden.matmul(model.Parameters.Value(own.Entry).t()));
        if (_config.LogitDivisor != 1) logits = logits / _config.LogitDivisor;
        return _config.LogitSoftCap is { } cap ? (logits / cap).tanh() * cap : logits;
    }

    private Tensor Add(Tensor residual, Tensor block) => residual + (_config.ResidualMultiplier == 1 ? block : block * _config.ResidualMultiplier);

    /// <inheritdoc/>
    public Tensor Norm(NormModule? norm, Tensor x)
    {
        if (norm is null) return x;
        var (weight, bias) = (Weight(norm), norm.Bias);
        if (model.AdaptersEnabled && norm.TrainedBias is { } trainedBias) bias = model.Parameters.Value(trainedBias);
        return Told(norm.Name, Norms.Apply(norm.Blueprint.Norm!, x, weight, bias));
    }

    /// <inheritdoc/>
    public Tensor Weight(NormModule norm) => model.AdaptersEnabled && norm.Trained is { } trained ? model.Parameters.Value(trained) : norm.Weight;

    /// <inheritdoc/>
    public Tensor Told(string name, Tensor output)
    {
        Seen?.Invoke(name, output);
        return output;
    }

    /// <inheritdoc/>
    public Tensor Frozen(IFrozenWeight weight, Tensor x) => FrozenLinear.Apply(x, weight, compute, Fault);

    /// <inheritdoc/>
    public Tensor Linear(LinearModule linear, Tensor x, StepKey? key)
    {
        Read?.Invoke(linear.Name, x);
        var on = model.AdaptersEnabled;
        var bias = on && linear.TrainedBias is { } trainedBias ? model.Parameters.Value(trainedBias) : linear.Bias;
        var product = on && linear.TrainedWeight is { } trained
            ? x.matmul(model.Parameters.Value(trained).t())
            : FrozenLinear.Apply(x, linear.Weight, compute, Fault);
        if (on && linear.Adapter is { } adapter) product = AdapterMath.Add(model.Parameters, linear, adapter, x, product, key, compute, Fault);
        return Told(linear.Name, bias is null ? product : product + bias);
    }
}
