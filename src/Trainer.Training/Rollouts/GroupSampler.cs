using Trainer.Data;
using Trainer.Engine;
using Trainer.Engine.Generation;
using Trainer.Tokenizers;
using Trainer.Training.Objectives;

namespace Trainer.Training.Rollouts;

/// <summary>
/// Lets the model answer each prompt several times, several prompts in one pass. A group comes and is computed as a whole, so its prompt is computed
/// once. What is said depends on the values, the seeds and which prompts are asked together, and on nothing else.
/// </summary>
internal sealed class GroupSampler(CausalModel model, ModelText text, HfTokenizer tokenizer, GrpoOptions options)
{
    // More texts in a pass make it faster and take more memory; so many are planned for.
    private const int AtOnce = 16;

    /// <summary>Texts that are made up at a time.</summary>
    /// <param name="options">The run.</param>
    public static int Texts(GrpoOptions options) => Math.Max(options.NumGenerations, AtOnce / options.NumGenerations * options.NumGenerations);

    /// <summary>The answers to each prompt.</summary>
    /// <param name="prompts">Token ids, each fewer than the model has positions.</param>
    /// <param name="seed">The seed of an answer, by prompt and by its number in the group.</param>
    /// <param name="between">Called after each pass; may throw.</param>
    public SampledAnswer[][] Sample(IReadOnlyList<int[]> prompts, Func<int, int, int> seed, Action between)
    {
        // A batch of its own each time: what an earlier one computed belongs to earlier adapter values.
        using var batch = new TextBatch(model);
        var (copies, stops) = (options.NumGenerations, text.StopIds(model.Config.EosIds));
        var answers = prompts.Select(_ => new SampledAnswer[copies]).ToArray();
        var open = new Dictionary<BatchText, (int Prompt, int Copy)>();
        var next = 0;
        while (next < prompts.Count || open.Count > 0)
        {
            for (; next < prompts.Count && (open.Count == 0 || open.Count + copies <= AtOnce); next++)
                for (var copy = 0; copy < copies; copy++) open.Add(batch.Add(prompts[next], Options(prompts[next], seed(next, copy))), (next, copy));
            foreach (var ended in batch.Step().Where(each => each.HasEnded))
            {
                if (!open.Remove(ended, out var at)) continue;
                var tokens = ended.Tokens;
                answers[at.Prompt][at.Copy] = new SampledAnswer(
                    ended.EndedBy is { } end ? [.. tokens, end] : [.. tokens], tokenizer.Decode([.. tokens], skipSpecialTokens: true), ended.EndedBy is null);
            }
            between();
        }
        return answers;

        SamplingOptions Options(int[] prompt, int drawn) => new()
        {
            MaxTokens = Math.Min(options.MaxCompletionLength, model.Config.Positions - prompt.Length), Temperature = options.Temperature, TopK = options.TopK,
            TopP = options.TopP, MinP = options.MinP, RepetitionPenalty = options.RepetitionPenalty, Seed = drawn, StopIds = stops,
        };
    }
}
