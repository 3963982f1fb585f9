using Trainer.Data;
using Trainer.Engine;
using Trainer.Models;

namespace Trainer.Training.Steps;

/// <summary>What the loop needs of base and adapter: the trained values, forward and backward.</summary>
internal interface IAdaptedModel : IDisposable
{
    /// <summary>What is trained; <see cref="ForwardBackward(MicroBatch, double, StepKey)"/> adds into its gradients.</summary>
    IParameterStore Parameters { get; }

    /// <summary>Parameters of base and adapter.</summary>
    long TotalParameters { get; }

    /// <summary>Rows of the output head.</summary>
    int VocabularySize { get; }

    /// <summary>Adds the gradient of <paramref name="lossScale"/> times the sum of weighted token losses.</summary>
    /// <param name="batch">The tokens.</param>
    /// <param name="lossScale">1 / trained tokens of the whole optimizer step.</param>
    /// <param name="key">Where this micro-step stands in the run: the counter of the dropout generator.</param>
    /// <returns>The sum of weighted token losses (nats), not scaled.</returns>
    double ForwardBackward(MicroBatch batch, double lossScale, StepKey key);

    /// <summary>The same for several micro-batches in their order.</summary>
    /// <param name="batches">The micro-batches.</param>
    /// <param name="lossScale">1 / trained tokens of the whole optimizer step.</param>
    /// <param name="keys">Where each stands in the run.</param>
    double[] ForwardBackward(IReadOnlyList<MicroBatch> batches, double lossScale, IReadOnlyList<StepKey> keys)
        => [.. batches.Zip(keys, (batch, key) => ForwardBackward(batch, lossScale, key))];

    /// <summary>Micro-batches of a step that go together, see <see cref="TrainingOptions.StreamMicroBatches"/>.</summary>
    int Together => 1;

    /// <summary>Adds the gradient of the sum of token losses, each times a weight that is found out when all losses are known.</summary>
    /// <param name="batch">The tokens.</param>
    /// <param name="weigh">Losses in, length T; weights out, length T.</param>
    /// <param name="key">Where this micro-step stands in the run.</param>
    /// <param name="balance">Weight of the routers' balancing term, in the unit of the weighted sum.</param>
    /// <param name="logitMeans">Length T, filled before <paramref name="weigh"/> is asked: the mean logit of each token with a target; null does not
    /// ask.</param>
    /// <returns>What that term adds to the sum.</returns>
    double ForwardBackward(MicroBatch batch, Func<float[], float[]> weigh, StepKey key, double balance = 0, float[]? logitMeans = null);

    /// <summary>As <see cref="TokenLosses"/>, of the base without its adapter.</summary>
    float[] BaseTokenLosses(MicroBatch batch);

    /// <summary>The loss of each token, length T, 0 where no target is; no gradient, no dropout.</summary>
    /// <param name="batch">The tokens.</param>
    /// <param name="logitMeans">Length T, filled with the mean logit of each token with a target; null does not ask.</param>
    float[] TokenLosses(MicroBatch batch, float[]? logitMeans = null);

    /// <summary>Logits [T, V], flat; no dropout.</summary>
    float[] Logits(MicroBatch batch);

    /// <summary>Threads that compute; the bits of a run belong to this number.</summary>
    int Threads { get; }

    /// <summary>The type the base is multiplied in, never auto; the bits of a run belong to it too.</summary>
    ComputeKind Compute { get; }

    /// <summary>A number over the bits of every frozen weight, to assert that training changed none.</summary>
    ulong BaseChecksum();

    /// <summary>Writes the adapter as PEFT does.</summary>
    void WriteAdapter(string directory);

    /// <summary>Logits as a reader of the folder gets them: the adapter read from disk into fresh tensors and a fresh graph.</summary>
    float[] LogitsFromDisk(string directory, MicroBatch batch);

    /// <summary>Whether an adapter that should change the model does not: none of its B is 0 everywhere, and all logits are the base's.</summary>
    /// <param name="batch">The tokens of the logits.</param>
    /// <param name="logits">Logits with the adapter.</param>
    bool ChangesNothing(MicroBatch batch, float[] logits) => false;

    /// <summary>One sentence per known reader (PEFT, vLLM, llama.cpp): whether it loads the folder, by its published rules.</summary>
    IEnumerable<string> ReaderVerdicts(string directory);

    /// <summary>Names the first layer and tensor whose values are not finite on this batch, or null.</summary>
    string? FindNonFinite(MicroBatch batch);
}
