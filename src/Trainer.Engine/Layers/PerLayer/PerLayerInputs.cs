using Trainer.Engine.Reference;
using Trainer.Engine.Weights;
using Trainer.Models.Config;
using Trainer.Models.Parts;
using static TorchSharp.torch;

namespace Trainer.Engine.Layers.PerLayer;

/// <summary>The small inputs of all layers, made once from the embeddings; see <see cref="PerLayerInput"/>.</summary>
internal sealed class PerLayerInputs(ModelConfig config, LayerModules ends)
{
    /// <summary>Name under which they are shared with the layers: [T, layers, size].</summary>
    public const string Name = "inputs of each layer";

    private readonly IFrozenWeight _table = ends.Table("embed_tokens_per_layer");
    private readonly LinearModule _projection = ends.Linear("per_layer_model_projection");
    private readonly NormModule _norm = ends.Norm("per_layer_projection_norm");

    /// <summary>Makes them of the scaled embeddings [T, hidden].</summary>
    public Tensor Make(ILayerMath pass, Tensor embedded, BatchContext context)
    {
        var (size, rows) = (config.PerLayerInput!.Size, config.PerLayerInput.VocabularySize);
        var projected = pass.Linear(_projection, embedded, context.Key) * (1 / Math.Sqrt(config.HiddenSize));
        var known = where(context.TokenIds.lt(rows), context.TokenIds, zeros_like(context.TokenIds));
        var own = EmbeddingMath.Frozen(_table, known) * Math.Sqrt(size);
        Tensor Each(Tensor x) => x.view(x.shape[0], config.LayerCount, size);
        return (pass.Norm(_norm, Each(projected)) + Each(own)) * (1 / Math.Sqrt(2));
    }
}
