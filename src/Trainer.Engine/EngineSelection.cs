using Trainer.Engine.Fast;
using Trainer.Engine.Reference;
using Trainer.Models;

namespace Trainer.Engine;

/// <summary>Which engine computes a model: the one place that knows them all.</summary>
internal static class EngineSelection
{
    public static string? Fallback(LoadedDecoder model) => model.Options.Engine == EngineKind.Auto ? FastCapabilities.Refusal(model) : null;

    public static IDecoderEngine Create(LoadedDecoder model)
    {
        var refusal = model.Options.Engine == EngineKind.Reference ? "the reference engine was asked for" : FastCapabilities.Refusal(model);
        if (refusal is not null && model.Options.Compute == ComputeKind.Int8)
            throw new ModelException("int8 is computed by the fast engine alone, which cannot compute this model "
                + $"({model.Config.ModelType}): {refusal}; take float32");
        if (model.Options.Engine == EngineKind.Reference) return new ReferenceEngine(model);
        if (refusal is null) return new FastEngine(model);
        return model.Options.Engine is EngineKind.Fast or EngineKind.Libtorch
            ? throw new ModelException($"the fast engine cannot compute this model ({model.Config.ModelType}): {refusal}; let the engine be chosen")
            : new ReferenceEngine(model);
    }
}
