using TorchSharp;
using Trainer.Engine.Passes;
using static TorchSharp.torch;

namespace Trainer.Engine.Reference;

/// <summary>
/// The stages of a pass with torch operators. Where layers are recomputed, autograd goes back a layer at a time; where all is kept there is one graph,
/// and it goes all the way at once.
/// </summary>
internal sealed class ReferenceStages(LoadedDecoder model, DecoderPass pass, HeadLoss loss, BatchContext context, PassMode mode) : IPassStages
{
    private readonly Tensor?[] _inputs = new Tensor?[model.Layers.Count + 1];
    private readonly int _lowest = model.ActiveAdapter.LowestLayer;
    private readonly bool _isKept = mode == PassMode.Kept;
    private Tensor? _embedded;
    private Tensor? _gradient;
    private float[]? _losses;
    private double _sum;
    private (Tensor Input, Tensor Output, DisposeScope Scope)? _recomputed;

    public double Balance { get; private set; }

    private Tensor Last => _inputs[^1]!;

    public void Embed()
    {
        _embedded = pass.Embed(context);
        if (_isKept) _embedded.requires_grad_(_lowest < 0);
        using var quiet = _isKept ? null : no_grad();
        _inputs[0] = pass.Enter(_embedded, context);
    }

    // A streamed base stays mapped: what a layer touched goes when the next is visited. Of experts without tokens nothing is read.
    public void Visit(int layer, int next)
    {
        if (model.Options.Stream) model.DropPages();
    }

    public void Forward(int layer, bool isKept)
    {
        if (_isKept)
        {
            _inputs[layer + 1] = pass.Layer(model.Layers[layer], _inputs[layer]!, context);
            return;
        }
        using var quiet = no_grad();
        using var inner = NewDisposeScope();
        _inputs[layer + 1] = pass.Layer(model.Layers[layer], _inputs[layer]!, context).MoveToOuterDisposeScope();
        // Inputs below the lowest trained layer are never needed again.
        if (layer < _lowest || mode != PassMode.Recomputed) Release(layer);
    }

    public double LossSum() => _sum;

    public void Loss(double? scale, bool needsGradient)
    {
        if (scale is not { } by)
        {
            _losses = loss.Losses(pass.FinalNorm(Last), context.Batch);
            return;
        }
        using var scope = NewDisposeScope();
        if (!_isKept) context.Replay();
        var top = _isKept ? Last : Last.detach().requires_grad_(needsGradient);
        var normed = pass.FinalNorm(top);
        var (sum, gradient) = loss.ForwardBackward(normed.detach(), context, by);
        context.BalanceScale = by;
        Balance = context.Balance?.Value() ?? 0;
        List<Tensor> outputs = [], gradients = [];
        if (normed.requires_grad) (outputs, gradients) = ([normed], [gradient]);
        // Where all is kept the routers' term is part of the one graph; else each layer brings its part when it is computed again.
        if (_isKept && context.Balance?.Graph(by) is { } balance)
        {
            outputs.Add(balance);
            gradients.Add(ones_like(balance));
        }
        if (outputs.Count > 0) autograd.backward(outputs, gradients);
        pass.Fault.Rethrow();
        if (!_isKept && needsGradient) _gradient = top.grad!.MoveToOuterDisposeScope();
        _sum = sum + Balance;
    }

    // What the graph is made of lives until the layer's backward pass is over.
    public void Recompute(int layer)
    {
        var scope = NewDisposeScope();
        var input = _inputs[layer]!.detach().requires_grad_(layer > _lowest || _lowest < 0);
        _recomputed = (input, pass.Layer(model.Layers[layer], input, context), scope);
    }

    public void Backward(int layer, bool needsInput)
    {
        if (_recomputed is not var (input, output, scope)) return;
        _recomputed = null;
        using (scope)
        {
            context.Backward(output, _gradient!);
            pass.Fault.Rethrow();
            _gradient!.Dispose();
            _gradient = needsInput ? input.grad!.MoveToOuterDisposeScope() : null;
        }
        Release(layer + 1);
    }

    public void EmbeddingGradient()
    {
        if (_isKept) AddEmbeddingGradient(_embedded!.grad!);
        else if (!pass.HasEnds) AddEmbeddingGradient(_gradient!);
        else
        {
            // What lies before the layers, again, for its gradient and the embedding's.
            var rows = pass.Embed(context).requires_grad_(true);
            context.Backward(pass.Enter(rows, context), _gradient!);
            pass.Fault.Rethrow();
            AddEmbeddingGradient(rows.grad!);
        }
    }

    public void CopyLosses(Span<float> losses) => _losses.CopyTo(losses);

    public Tensor Logits() => pass.Head(pass.FinalNorm(Last), null);

    /// <summary>Logits [segments, vocabulary] after the last token of each segment.</summary>
    public Tensor LastLogits()
    {
        var (normed, starts) = (pass.FinalNorm(Last), context.Batch.SegmentStarts);
        if (starts.Length == 2) return pass.Head(normed.narrow(0, context.Batch.Length - 1, 1), null);
        return pass.Head(normed.index_select(0, tensor(starts.Skip(1).Select(start => start - 1L).ToArray(), dtype: ScalarType.Int64, device: normed.device)),
            null);
    }

    public void Dispose() => context.Dispose();

    private void AddEmbeddingGradient(Tensor gradient)
    {
        using var quiet = no_grad();
        var scaled = model.Config.EmbeddingMultiplier == 1 ? gradient : gradient * (float)model.Config.EmbeddingMultiplier;
        if (model.Embedding.Trained is { } trained) model.Parameters.Gradient(trained).index_add_(0, context.TokenIds, scaled, 1);
        if (model.Embedding.Rows is { } rows) EmbeddingMath.AddGradient(model.Parameters, rows, context.Batch.TokenIds, scaled);
        if (model.Embedding.Adapter is { } adapter)
            EmbeddingMath.AddGradient(model.Parameters, model.Embedding, adapter, context.TokenIds, pass.FrozenRows(context), scaled);
    }

    private void Release(int layer)
    {
        _inputs[layer]?.Dispose();
        _inputs[layer] = null;
    }
}
