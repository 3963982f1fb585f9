using TorchSharp;
using Trainer.Engine.Weights;
using static TorchSharp.torch;

namespace Trainer.Engine.Reference;

/// <summary>
/// What an adapter makes of embedding rows, and its gradients by hand: the embedding is the bottom of the model, so no graph is needed below it.
/// With a = A[:, v] of each token and f = m / norms (1 without a magnitude): y = f * (E[v] + s a B^T). See <see cref="EmbeddingAdapter"/>.
/// </summary>
internal static class EmbeddingMath
{
    /// <summary>Rows of a frozen table as float32.</summary>
    public static Tensor Frozen(IFrozenWeight weight, Tensor ids)
    {
        using var scope = NewDisposeScope();
        if (weight is DenseWeight { Stored: var table })
            return table.index_select(0, ids.cpu()).to(ScalarType.Float32).to(ids.device).MoveToOuterDisposeScope();
        throw new InvalidOperationException($"an embedding held as {weight.Form}");
    }

    /// <summary>Adapted rows [T, hidden] of the frozen rows E[v].</summary>
    public static Tensor Rows(ParameterBuffer parameters, EmbeddingModule embedding, EmbeddingAdapter adapter, Tensor ids, Tensor frozen)
    {
        using var scope = NewDisposeScope();
        var sum = Sum(parameters, adapter, ids, frozen);
        if (adapter.Magnitude is { } magnitude) sum = sum * (parameters.Value(magnitude) / ColumnNorms(parameters, embedding, adapter, ids.device));
        return sum.MoveToOuterDisposeScope();
    }

    /// <summary>Embeddings [T, hidden] with the trained rows of some tokens in place of the frozen ones.</summary>
    public static Tensor WithRows(ParameterBuffer parameters, TokenRows own, int[] ids, Tensor frozen)
    {
        var (at, row) = own.Find(ids);
        if (at.Length == 0) return frozen;
        using var scope = NewDisposeScope();
        return frozen.index_copy(0, Indices(at, frozen), parameters.Value(own.Entry).index_select(0, Indices(row, frozen))).MoveToOuterDisposeScope();
    }

    /// <summary>Adds the gradient of trained rows to the buffer.</summary>
    /// <param name="parameters">The buffer.</param>
    /// <param name="own">The rows.</param>
    /// <param name="ids">Token ids, length T.</param>
    /// <param name="gradient">Gradient of the embeddings [T, hidden].</param>
    public static void AddGradient(ParameterBuffer parameters, TokenRows own, int[] ids, Tensor gradient)
    {
        var (at, row) = own.Find(ids);
        if (at.Length == 0) return;
        using var scope = NewDisposeScope();
        parameters.Gradient(own.Entry).index_add_(0, Indices(row, gradient), gradient.index_select(0, Indices(at, gradient)), 1);
    }

    private static Tensor Indices(long[] indices, Tensor like) => tensor(indices, dtype: ScalarType.Int64, device: like.device);

    /// <summary>Adds the gradients of A, B and the magnitude to the buffer.</summary>
    /// <param name="parameters">The buffer.</param>
    /// <param name="embedding">The embedding.</param>
    /// <param name="adapter">Its adapter.</param>
    /// <param name="ids">Token ids [T].</param>
    /// <param name="frozen">The frozen rows E[v], [T, hidden].</param>
    /// <param name="gradient">Gradient of the adapted rows [T, hidden].</param>
    public static void AddGradient(ParameterBuffer parameters, EmbeddingModule embedding, EmbeddingAdapter adapter, Tensor ids, Tensor frozen, Tensor gradient)
    {
        using var scope = NewDisposeScope();
        if (adapter.Magnitude is { } magnitude)
        {
            var norms = ColumnNorms(parameters, embedding, adapter, ids.device);
            parameters.Gradient(magnitude).add_((gradient * Sum(parameters, adapter, ids, frozen)).sum(dim: 0) / norms);
            gradient = gradient * (parameters.Value(magnitude) / norms);
        }
        var scaled = gradient * adapter.Scale;
        parameters.Gradient(adapter.B).add_(scaled.t().matmul(Chosen(parameters, adapter, ids)));
        parameters.Gradient(adapter.A).index_add_(1, ids, scaled.matmul(parameters.Value(adapter.B)).t(), 1);
    }

    private static Tensor Sum(ParameterBuffer parameters, EmbeddingAdapter adapter, Tensor ids, Tensor frozen) =>
        frozen + Chosen(parameters, adapter, ids).matmul(parameters.Value(adapter.B).t()) * adapter.Scale;

    private static Tensor Chosen(ParameterBuffer parameters, EmbeddingAdapter adapter, Tensor ids) => parameters.Value(adapter.A).index_select(1, ids).t();

    // Over the whole vocabulary, a few rows at a time. The dimension is named: a bare 0 would choose the overload that takes an element type.
    private static Tensor ColumnNorms(ParameterBuffer parameters, EmbeddingModule embedding, EmbeddingAdapter adapter, Device device)
    {
        var squares = zeros(embedding.Weight.Columns, dtype: ScalarType.Float32, device: device);
        var (a, b) = (parameters.Value(adapter.A), parameters.Value(adapter.B));
        FrozenLinear.Panels(embedding.Weight, ScalarType.Float32, device, (begin, panel) =>
            squares.add_((panel + a.narrow(1, begin, panel.shape[0]).t().matmul(b.t()) * adapter.Scale).square().sum(dim: 0)));
        return squares.sqrt();
    }
}
