using Trainer.Data;

namespace Trainer.Training.Rollouts;

/// <summary>Lays answers out behind their prompts, as one micro-batch.</summary>
internal static class AnswerBatch
{
    /// <param name="answers">Prompt, answer, whether the answer is learnt from, and the row it belongs to.</param>
    /// <param name="rollout">What is known of them.</param>
    public static MicroBatch Of(IReadOnlyList<(int[] Prompt, int[] Answer, bool IsLearnt, RowSource Row)> answers, Rollout rollout)
    {
        var (ids, targets, positions) = (new List<int>(), new List<int>(), new List<int>());
        var (starts, begins) = (new List<int>(), new List<int>());
        foreach (var (prompt, answer, isLearnt, _) in answers)
        {
            starts.Add(ids.Count);
            begins.Add(ids.Count + prompt.Length);
            ids.AddRange(prompt);
            ids.AddRange(answer);
            for (var t = 0; t < prompt.Length + answer.Length; t++)
            {
                var next = t + 1 - prompt.Length;
                targets.Add(isLearnt && next >= 0 && next < answer.Length ? answer[next] : Example.IgnoredLabel);
                positions.Add(t);
            }
        }
        starts.Add(ids.Count);
        return new MicroBatch([.. ids], [.. targets], [.. positions], [.. starts], [.. answers.Select(_ => 1f)], [.. answers.Select(each => each.Row)],
            [.. answers.Select(_ => SegmentRole.Sampled)], [.. begins]) { Rollout = rollout };
    }

    /// <summary>As many answers of the greatest length to the longest prompts as a micro-batch has: what a plan and its rehearsal count with.</summary>
    /// <param name="options">The run.</param>
    /// <param name="prompt">Tokens of the longest prompt.</param>
    /// <param name="positions">Positions of the model.</param>
    /// <param name="vocabularySize">Its ids.</param>
    public static MicroBatch Largest(TrainingOptions options, int prompt, int positions, int vocabularySize)
    {
        int[] Ids(int count) => [.. Enumerable.Range(0, count).Select(t => t * 7 % vocabularySize)];
        var answer = Math.Max(1, Math.Min(options.Grpo.MaxCompletionLength, positions - prompt));
        var tokens = (prompt + answer) * options.BatchSize;
        var (asksAgain, hasReference) = (options.Grpo.NumIterations > 1, options.Preference.Beta > 0);
        var rollout = new Rollout([.. Enumerable.Repeat(1f, options.BatchSize)], asksAgain ? new float[tokens] : null, new Dictionary<string, double>());
        return Of([.. Enumerable.Repeat((Ids(prompt), Ids(answer), true, new RowSource("", 1)), options.BatchSize)], rollout)
            .Told(hasReference ? new float[tokens] : null, rollout);
    }
}
