using Trainer.Data;
using Trainer.Numerics.Spans;
using Trainer.Training.Steps;

namespace Trainer.Training.Objectives;

/// <summary>The model that the policy is weighed against.</summary>
internal interface IReference
{
    /// <summary>Its loss of each token, length T, 0 where no target is.</summary>
    float[] TokenLosses(IAdaptedModel model, MicroBatch batch);
}

/// <summary>The base without its adapter, trained copies of its modules not used either.</summary>
internal sealed class BareBase : IReference
{
    public float[] TokenLosses(IAdaptedModel model, MicroBatch batch) => model.BaseTokenLosses(batch);
}

/// <summary>A frozen copy of the adapter as the run began with it, which takes the policy's place while it is asked.</summary>
internal sealed class FrozenAdapter : IReference
{
    private readonly IReadOnlyList<(long Begin, float[] Values)> _frozen;

    /// <param name="parameters">The values to keep.</param>
    public FrozenAdapter(IParameterStore parameters) =>
        _frozen = [.. LongBlocks.Of(parameters.Length).Select(block => (block.Begin, parameters.HostValues().Span(block.Begin, block.Count).ToArray()))];

    public float[] TokenLosses(IAdaptedModel model, MicroBatch batch)
    {
        using var policy = model.Parameters.HostValues().ToLongArray();
        foreach (var (begin, values) in _frozen) model.Parameters.Write(begin, values);
        try
        {
            return model.TokenLosses(batch);
        }
        finally
        {
            model.Parameters.Write(0, policy.All);
        }
    }
}
