using Trainer.Data;
using Trainer.Training.Watch;

namespace Trainer.Training.Rollouts;

/// <summary>Answers that serve several steps, in a checkpoint.</summary>
/// <param name="Round">How many times answers were made up before.</param>
/// <param name="Step">The micro-batches, as a replay bundle has them.</param>
internal sealed record KeptRollout(long Round, string Step)
{
    /// <summary>What a checkpoint keeps.</summary>
    public static KeptRollout Of(long round, IReadOnlyList<MicroBatch> batches) => new(round, ReplayBatches.ToText(batches));

    /// <summary>The micro-batches again.</summary>
    public IReadOnlyList<MicroBatch> Batches() => ReplayBatches.OfText(Step);
}
