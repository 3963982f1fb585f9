using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Engine;

/// <summary>
/// The engine that computes every family and variant with torch operators and autograd.
/// With gradient checkpointing the layers are visited forward without a graph keeping only each layer's input, then in reverse:
/// recompute one layer with a graph, run its backward pass, release it. Live memory is one layer's graph and the layer inputs.
/// </summary>
internal sealed class ReferenceEngine : IDecoderEngine
{
    private readonly CausalModel _model;
    private readonly DecoderPass _pass;
    private readonly HeadLoss _loss;
    private readonly Device _device;

    public ReferenceEngine(CausalModel model)
    {
        _model = model;
        _device = new Device(model.Options.Device);
        _pass = new DecoderPass(model, ComputeType(model.Options, _device));
        _loss = new HeadLoss(model, _pass);
    }

    public string Name => "reference";

    /// <summary>The type of the frozen products.</summary>
    public static ScalarType ComputeType(ModelLoadOptions options, Device device) => options.Compute switch
    {
        ComputeKind.BFloat16 => ScalarType.BFloat16,
        ComputeKind.Auto when device.type != DeviceType.CPU => ScalarType.BFloat16,
        _ => ScalarType.Float32,
    };

    public LossResult ForwardBackward(TokenBatch batch, double lossScale, StepKey? key)
    {
        CheckIds(batch);
        using var scope = NewDisposeScope();
        using var context = new BatchContext(_model.Config, batch, key, _device);
        var lowest = LowestTrainedLayer();
        var sum = _model.Options.GradientCheckpointing ? Recomputed(context, lossScale, lowest) : Kept(context, lossScale, lowest);
        return new LossResult(sum, batch.TrainedTokens);
    }

    public float[] TokenLosses(TokenBatch batch)
    {
        CheckIds(batch);
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        using var context = new BatchContext(_model.Config, batch, null, _device);
        return _loss.Losses(Hidden(context), batch);
    }

    public Tensor Logits(TokenBatch batch)
    {
        CheckIds(batch);
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        using var context = new BatchContext(_model.Config, batch, null, _device);
        return _pass.Head(Hidden(context), null).MoveToOuterDisposeScope();
    }

    /// <summary>Logits [1, vocabulary] after the batch's last token, its keys and values added to the cache.</summary>
    public Tensor LastLogits(TokenBatch batch, KvCache cache)
    {
        CheckIds(batch);
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        using var context = new BatchContext(_model.Config, batch, null, _device, cache);
        var hidden = Hidden(context);
        cache.Advance(batch.Length);
        return _pass.Head(hidden.narrow(0, batch.Length - 1, 1), null).MoveToOuterDisposeScope();
    }

    public void Dispose()
    {
    }

    private Tensor Hidden(BatchContext context)
    {
        var hidden = _pass.Enter(_pass.Embed(context), context);
        foreach (var layer in _model.Layers)
        {
            using var inner = NewDisposeScope();
            var next = _pass.Layer(layer, hidden, context).MoveToOuterDisposeScope();
            hidden.Dispose();
            hidden = next;
        }
        return _pass.FinalNorm(hidden);
    }

    private double Recomputed(BatchContext context, double lossScale, int lowest)
    {
        var layers = _model.Layers;
        var inputs = new Tensor[layers.Count + 1];
        using (no_grad())
        {
            inputs[0] = _pass.Enter(_pass.Embed(context), context);
            for (var l = 0; l < layers.Count; l++)
            {
                using var inner = NewDisposeScope();
                inputs[l + 1] = _pass.Layer(layers[l], inputs[l], context).MoveToOuterDisposeScope();
                // Inputs below the lowest trained layer are never needed again.
                if (l < lowest) inputs[l].Dispose();
            }
        }
        context.Replay();
        var (sum, gradient) = Top(inputs[^1], context, lossScale, lowest < layers.Count);
        for (var l = layers.Count - 1; l >= lowest && l >= 0; l--)
        {
            using var inner = NewDisposeScope();
            var input = inputs[l].detach().requires_grad_(l > lowest || lowest < 0);
            context.Backward(_pass.Layer(layers[l], input, context), gradient!);
            _pass.Fault.Rethrow();
            var below = input.requires_grad ? input.grad!.MoveToOuterDisposeScope() : null;
            inputs[l + 1].Dispose();
            gradient!.Dispose();
            gradient = below;
        }
        if (lowest < 0) AddEndsGradient(context, gradient!);
        return sum;
    }

    // What lies before the layers, again, for its gradient and the embedding's.
    private void AddEndsGradient(BatchContext context, Tensor gradient)
    {
        if (!_pass.HasEnds)
        {
            AddEmbeddingGradient(context, gradient);
            return;
        }
        var rows = _pass.Embed(context).requires_grad_(true);
        context.Backward(_pass.Enter(rows, context), gradient);
        _pass.Fault.Rethrow();
        AddEmbeddingGradient(context, rows.grad!);
    }

    private double Kept(BatchContext context, double lossScale, int lowest)
    {
        var input = _pass.Embed(context).requires_grad_(lowest < 0);
        var hidden = _pass.Enter(input, context);
        foreach (var layer in _model.Layers) hidden = _pass.Layer(layer, hidden, context);
        var normed = _pass.FinalNorm(hidden);
        var (sum, gradient) = _loss.ForwardBackward(normed.detach(), context, lossScale);
        if (normed.requires_grad)
        {
            normed.backward([gradient]);
            _pass.Fault.Rethrow();
        }
        if (lowest < 0) AddEmbeddingGradient(context, input.grad!);
        return sum;
    }

    // Final norm, head and loss; the gradient with respect to the last layer's output where something below is trained.
    private (double Sum, Tensor? Gradient) Top(Tensor output, BatchContext context, double lossScale, bool needsGradient)
    {
        using var scope = NewDisposeScope();
        var top = output.detach().requires_grad_(needsGradient);
        var normed = _pass.FinalNorm(top);
        var (sum, gradient) = _loss.ForwardBackward(normed.detach(), context, lossScale);
        if (normed.requires_grad) normed.backward([gradient]);
        return (sum, needsGradient ? top.grad!.MoveToOuterDisposeScope() : null);
    }

    private void AddEmbeddingGradient(BatchContext context, Tensor gradient)
    {
        using var quiet = no_grad();
        var scaled = _model.Config.EmbeddingMultiplier == 1 ? gradient : gradient * (float)_model.Config.EmbeddingMultiplier;
        if (_model.Embedding.Trained is { } trained) _model.Parameters.Gradient(trained).index_add_(0, context.TokenIds, scaled, 1);
        if (_model.Embedding.Adapter is { } adapter) EmbeddingMath.AddGradient(_model.Parameters, _model.Embedding, adapter, context.TokenIds, _pass.FrozenRows(context), scaled);
    }

    // -1 where the embedding is trained, the layer count where nothing below the head is.
    private int LowestTrainedLayer()
    {
        if (_model.Embedding.Trained is not null || _model.Embedding.Adapter is not null || IsTrained(_model.Ends)) return -1;
        foreach (var layer in _model.Layers)
        {
            if (IsTrained(layer.Modules)) return layer.Index;
        }
        return _model.Layers.Count;
    }

    private static bool IsTrained(LayerModules modules) =>
        modules.Linears.Any(linear => linear.Adapter is not null || linear.TrainedWeight is not null || linear.TrainedBias is not null)
        || modules.Norms.Any(norm => norm.Trained is not null) || modules.Experts is { IsTrained: true };

    private void CheckIds(TokenBatch batch)
    {
        var size = _model.Config.VocabularySize;
        foreach (var id in batch.TokenIds)
            if ((uint)id >= (uint)size) throw new ModelException($"token id {id} is outside the model's vocabulary of {size}; data and model use different tokenizers");
        foreach (var id in batch.Targets)
            if (id != TokenBatch.IgnoredTarget && (uint)id >= (uint)size) throw new ModelException($"target id {id} is outside the model's vocabulary of {size}; data and model use different tokenizers");
    }
}
