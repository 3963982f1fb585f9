using Trainer.Data;

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
    private readonly float[] _frozen;

    /// <param name="parameters">The values to keep.</param>
    public FrozenAdapter(IParameterStore parameters) => _frozen = parameters.HostValues().ToArray();

    public float[] TokenLosses(IAdaptedModel model, MicroBatch batch)
    {
        var policy = model.Parameters.HostValues().ToArray();
        model.Parameters.Write(_frozen);
        try
        {
            return model.TokenLosses(batch);
        }
        finally
        {
            model.Parameters.Write(policy);
        }
    }
}
