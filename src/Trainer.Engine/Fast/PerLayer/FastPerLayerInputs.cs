using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Layers;
using Trainer.Engine.Weights;
using Trainer.Models.Config;

namespace Trainer.Engine.Fast.PerLayer;

/// <summary>The small inputs of all layers by hand, made once from the embeddings, and the way back to them.</summary>
/// <remarks>
/// <code>
/// u = (norm(P x / sqrt(hidden)) + sqrt(size) E2[token]) / sqrt(2)        x: the scaled embeddings, u: (T, layers, size)
/// </code>
/// The product is made again on the way back.
/// </remarks>
internal sealed class FastPerLayerInputs(ModelConfig config, LayerModules modules, IKernels kernels, FastLinear linear, FastNorm norms)
{
    private static readonly float Half = (float)(1 / Math.Sqrt(2));

    private readonly IFrozenWeight _table = modules.Table("embed_tokens_per_layer");
    private readonly LinearModule _projection = modules.Linear("per_layer_model_projection");
    private readonly NormModule _norm = modules.Norm("per_layer_projection_norm");
    private readonly int _size = config.PerLayerInput!.Size, _width = config.PerLayerInput.Size * config.LayerCount;
    private readonly int _rows = config.PerLayerInput.VocabularySize;

    // Of a model's embeddings and their projection.
    private float Share => (float)(1 / Math.Sqrt(config.HiddenSize));

    /// <summary>Makes them of the first layer's input.</summary>
    public void Forward(FastPass pass)
    {
        var inputs = pass.Memory.Floats(BufferId.SmallInputs);
        var count = pass.Batch.Tokens * (long)_width;
        kernels.Embed(_table, default, [.. pass.Batch.Batch.TokenIds.Select(id => id < _rows ? id : 0)], _width, inputs);
        kernels.Scale(inputs, count, (float)Math.Sqrt(_size));
        var raw = Project(pass);
        Norm(pass, raw, raw);
        kernels.AddScaled(inputs, raw, 1f, inputs, count);
        kernels.Scale(inputs, count, Half);
    }

    /// <summary>Adds the parameters' gradients and, where it is wanted, that of the embeddings to the stream's.</summary>
    public void Backward(FastPass pass, bool needsInput)
    {
        Place gradient = pass.Memory.Floats(BufferId.SmallInputGradients), raw = Project(pass);
        var (tokens, count) = ((long)pass.Batch.Tokens, pass.Batch.Tokens * (long)_width);
        // The inputs were used for the last time: their room takes what the norm gives beside its inverses.
        Norm(pass, raw, pass.Memory.Floats(BufferId.SmallInputs));
        kernels.Scale(gradient, count, Half);
        norms.Backward(_norm, raw, pass.Memory.Floats(BufferId.SmallInverse), gradient, default, gradient, _size, count / _size);
        kernels.Scale(gradient, count, Share);
        linear.Backward(pass, _projection, pass.Input(0), tokens, gradient, _width, needsInput ? pass.Buffers.Gradient : default, true, State(pass));
    }

    private Place Project(FastPass pass)
    {
        var raw = pass.Memory.Floats(BufferId.SmallRaw);
        linear.Forward(pass, _projection, pass.Input(0), pass.Batch.Tokens, raw, _width, State(pass));
        kernels.Scale(raw, pass.Batch.Tokens * (long)_width, Share);
        return raw;
    }

    private void Norm(FastPass pass, Place raw, Place target) =>
        norms.Forward(_norm, raw, target, pass.Memory.Floats(BufferId.SmallInverse), _size, pass.Batch.Tokens * (long)config.LayerCount);

    private AdapterState State(FastPass pass) => pass.Shared(_projection);
}
