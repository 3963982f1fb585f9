namespace Trainer.Models;

/// <summary>Which engine computes a model: the one place that knows them all.</summary>
internal static class EngineSelection
{
    public static IDecoderEngine Create(CausalModel model) => model.Options.Engine switch
    {
        EngineKind.Fast => throw new ModelException($"the fast engine cannot compute this model ({model.Config.ModelType}); let the engine be chosen"),
        _ => new ReferenceEngine(model),
    };
}
