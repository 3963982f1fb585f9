using Trainer.Data;

namespace Trainer.Training.Objectives;

/// <summary>A loss over whole answers: it turns token losses of policy and reference into a number and a weight for each token.</summary>
internal interface ISequenceLoss
{
    /// <summary>What it measures, as TRL names it.</summary>
    IReadOnlyList<string> Metrics { get; }

    /// <summary>The rows with every target that it looks at.</summary>
    MicroBatch Prepare(MicroBatch batch) => batch;

    /// <summary>Weighs one micro-batch.</summary>
    /// <param name="answers">Scores of each answer, in segment order.</param>
    /// <param name="weights">Length T, filled here: derivative of the result by each token's loss.</param>
    /// <param name="metrics">Hears what is measured.</param>
    /// <returns>Rows times the mean loss of a row.</returns>
    double Weigh(IReadOnlyList<AnswerScore> answers, float[] weights, MetricSums metrics);
}
