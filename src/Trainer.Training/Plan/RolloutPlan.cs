using Trainer.Data;
using Trainer.Models.Config;
using Trainer.Training.Rollouts;

namespace Trainer.Training.Plan;

/// <summary>How large the micro-batches of answers and the texts being written may become.</summary>
/// <param name="Longest">Tokens of the longest prompt with its longest answer.</param>
/// <param name="Answer">Tokens of that answer.</param>
/// <param name="Rows">Answers in a micro-batch.</param>
/// <param name="Texts">Answers that are written at a time.</param>
internal sealed record RolloutPlan(long Longest, long Answer, long Rows, int Texts)
{
    /// <summary>Tokens of a micro-batch.</summary>
    public long BatchTokens => Rows * Longest;

    /// <summary>Those of them that are learnt from.</summary>
    public long BatchAnswers => Rows * Answer;

    /// <exception cref="OptionException">The model cannot be trained at this temperature, or a prompt leaves no room for an answer.</exception>
    public static RolloutPlan Of(TrainingOptions options, ModelConfig config, Dataset? dataset)
    {
        if (options.Grpo.Temperature != 1 && config.LogitSoftCap is not null)
            throw new OptionException($"--temperature {options.Grpo.Temperature}: '{options.Model}' caps its logits, and probabilities at another temperature "
                + "than 1 are not learnt through a cap here; leave it at 1");
        var prompt = dataset is null ? options.Data.MaxSeqLength : Math.Max(dataset.Train.Longest, dataset.Eval?.Longest ?? 0);
        if (dataset is not null && prompt >= config.Positions)
            throw new OptionException($"the longest prompt has {prompt} tokens, and the model {config.Positions} positions: no room is left for an answer; "
                + "leave such rows out with --max-seq-length and --on-too-long drop");
        var answer = Math.Max(1, Math.Min(options.Grpo.MaxCompletionLength, config.Positions - prompt));
        return new RolloutPlan(prompt + answer, answer, options.BatchSize, GroupSampler.Texts(options.Grpo));
    }

    /// <summary>What the rows take in memory, with all their columns.</summary>
    public static long RowBytes(Dataset dataset) =>
        3 * (dataset.Statistics.Files.Sum(file => file.Bytes) + (dataset.EvalStatistics?.Files.Sum(file => file.Bytes) ?? 0));
}
