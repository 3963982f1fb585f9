using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Trainer.Data;
using Trainer.Distributed;
using Trainer.Training.Objectives;
using Trainer.Training.Records;
using Trainer.Training.State;
using Trainer.Training.Steps;

namespace Trainer.Training.Rollouts;

/// <summary>
/// From prompts to micro-batches: lets the model answer, the programs reward, and remembers what the model and the reference said of the answers. What is
/// sampled is a function of values, seed and round. Of several ranks each answers its share of the prompts, and all know all answers.
/// </summary>
internal sealed class RolloutMaker
{
    /// <summary>The run.</summary>
    public required TrainingOptions Options { get; init; }

    /// <summary>What answers, and is trained.</summary>
    public required IAdaptedModel Model { get; init; }

    /// <summary>Makes answers up: prompts, the seed of each answer, what is called between passes.</summary>
    public required Func<IReadOnlyList<int[]>, Func<int, int, int>, Action, SampledAnswer[][]> Sample { get; init; }

    /// <summary>The programs.</summary>
    public required IReadOnlyList<IRewards> Rewards { get; init; }

    /// <summary>A prompt's text.</summary>
    public required Func<int[], string> Text { get; init; }

    /// <summary>The row of a prompt, with all its columns.</summary>
    public required IReadOnlyDictionary<RowSource, JsonElement> Rows { get; init; }

    /// <summary>What the policy must not stray from; null where nothing is.</summary>
    public IReference? Reference { get; init; }

    public required ICollective Ranks { get; init; }

    public required Events Events { get; init; }

    /// <summary>The micro-batches of a step, together with all ranks.</summary>
    /// <param name="prompts">The prompts.</param>
    /// <param name="round">How many times answers were made up before: with the seed, what the draws depend on.</param>
    /// <param name="step">The step they are made up for, from 0.</param>
    /// <param name="between">Called now and then; may throw.</param>
    public IReadOnlyList<MicroBatch> ForTraining(MicroBatch prompts, long round, long step, Action between)
    {
        var mine = Enumerable.Range(0, prompts.Rows.Length).Where(prompt => prompt % Ranks.Size == Ranks.Rank).ToArray();
        var answered = Answer(prompts, mine, $"round {round}", between);
        if (Ranks.Size > 1)
        {
            var all = Ranks.Collect(JsonSerializer.Serialize(answered, RunJson.Line));
            answered = [.. all.SelectMany(text => JsonSerializer.Deserialize<List<AnsweredPrompt>>(text, RunJson.Line)!).OrderBy(each => each.Prompt)];
        }
        var measures = Measures(answered);
        Show(prompts, answered, step);
        Events.Emit(new RolledOut((int)step + 1, [.. answered.Select(each => new RolledOutPrompt(
            prompts.Rows[each.Prompt], Text(Ids(prompts, each.Prompt)), each.Texts, each.Rewards, [.. each.Tokens.Select(tokens => tokens.Length)]))]));
        var batches = Batches(prompts, answered, measures);
        // Where a step is the only one of its answers, the model that is trained is the one that made them up.
        var before = Options.Grpo.NumIterations > 1 ? Ask(batches, batch => Model.TokenLosses(batch)) : null;
        var frozen = Reference is { } reference ? Ask(batches, batch => reference.TokenLosses(Model, batch)) : null;
        return [.. batches.Select((batch, index) => batch.Told(frozen?[index], batch.Rollout! with { SampledLosses = before?[index] }))];
    }

    /// <summary>Held-out prompts, answered by this rank alone.</summary>
    /// <param name="prompts">The prompts.</param>
    public IReadOnlyList<MicroBatch> HeldOut(MicroBatch prompts)
    {
        var answered = Answer(prompts, [.. Enumerable.Range(0, prompts.Rows.Length)], "held out", static () => { });
        var batches = Batches(prompts, answered, Measures(answered));
        return [.. batches.Select(batch => batch.Told(Reference?.TokenLosses(Model, batch), batch.Rollout))];
    }

    private List<AnsweredPrompt> Answer(MicroBatch prompts, int[] which, string when, Action between)
    {
        if (which.Length == 0) return [];
        int[][] asked = [.. which.Select(prompt => Ids(prompts, prompt))];
        Events.Emit(new PhaseProgressed("making up answers", 0, which.Length));
        var answers = Sample(asked, (at, copy) => Seed($"{when} {Place(prompts, which[at])} {copy}"), between);
        Events.Emit(new PhaseProgressed("making up answers", which.Length, which.Length));
        var (questions, rows) = (new List<string>(), new List<RowSource>());
        for (var at = 0; at < which.Length; at++)
        {
            var source = prompts.Rows[which[at]];
            foreach (var answer in answers[at])
            {
                questions.Add(RewardQuestion.Line(answer.Text, Text(asked[at]), answer.IsTruncated, answer.Tokens.Length, Rows[source]));
                rows.Add(source);
            }
        }
        var said = Rewards.Select(program => program.Ask(questions, rows, between)).ToList();
        RewardQuestion.RequireReward(said, rows);
        var copies = Options.Grpo.NumGenerations;
        return [.. which.Select((prompt, at) => new AnsweredPrompt(
            prompt, [.. answers[at].Select(answer => answer.Tokens)], [.. answers[at].Select(answer => answer.Text)],
            [.. answers[at].Select(answer => answer.IsTruncated)],
            [.. Enumerable.Range(at * copies, copies).Select(i => said.Select(rewards => rewards[i]).ToArray())]))];
    }

    // Of a step that is logged, the first prompt's best answer: what a number of rewards does not tell.
    private void Show(MicroBatch prompts, List<AnsweredPrompt> answered, long step)
    {
        if (step != 0 && (step + 1) % Options.LoggingSteps != 0) return;
        var first = answered[0];
        var best = Enumerable.Range(0, first.Texts.Length).MaxBy(copy => first.Rewards[copy].Sum(reward => reward ?? 0));
        Events.Emit(new Sampled((int)step, Text(Ids(prompts, first.Prompt)), first.Texts[best]));
    }

    private RolloutMeasures Measures(List<AnsweredPrompt> answered) => RolloutMeasures.Of(
        Options.Grpo, [.. answered.SelectMany(each => each.Rewards)], [.. answered.SelectMany(each => each.Tokens.Select(tokens => tokens.Length))],
        [.. answered.SelectMany(each => each.Truncated)]);

    // Answers in the order of their prompts, so many to a micro-batch; what was measured of all goes with the first.
    private List<MicroBatch> Batches(MicroBatch prompts, List<AnsweredPrompt> answered, RolloutMeasures measures)
    {
        var nothing = new Dictionary<string, double>();
        var all = answered.SelectMany(each => each.Tokens.Select((tokens, copy) => (each.Prompt, Tokens: tokens,
            IsLearnt: !(Options.Grpo.MaskTruncated && each.Truncated[copy])))).ToList();
        return [.. all.Select((each, index) => (each, index)).Chunk(Options.BatchSize).Select((part, number) => AnswerBatch.Of(
            [.. part.Select(one => (Ids(prompts, one.each.Prompt), one.each.Tokens, one.each.IsLearnt, prompts.Rows[one.each.Prompt]))],
            new Rollout([.. part.Select(one => measures.Advantages[one.index])], null, number == 0 ? measures.Measured : nothing)))];
    }

    // Each rank asks about the micro-batches that it computes in a step; a sum over ranks tells all of them to all, as a checkpoint needs it.
    private float[][] Ask(List<MicroBatch> batches, Func<MicroBatch, float[]> losses)
    {
        var starts = new int[batches.Count + 1];
        for (var index = 0; index < batches.Count; index++) starts[index + 1] = starts[index] + batches[index].TokenIds.Length;
        var values = new float[starts[^1]];
        for (var index = Ranks.Rank; index < batches.Count; index += Ranks.Size) losses(batches[index]).CopyTo(values, starts[index]);
        Ranks.Sum(values, []);
        return [.. batches.Select((_, index) => values[starts[index]..starts[index + 1]])];
    }

    private static int[] Ids(MicroBatch prompts, int prompt) => prompts.TokenIds[prompts.SegmentStarts[prompt]..prompts.SegmentStarts[prompt + 1]];

    // Where a prompt stands in its step; a row may come twice in one.
    private static string Place(MicroBatch prompts, int prompt) => $"{prompt} {prompts.Rows[prompt].Line}";

    private int Seed(string what) =>
        BinaryPrimitives.ReadInt32LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes($"{Options.Seed} {what}"))) & int.MaxValue;

    // What ranks tell each other.
    private sealed record AnsweredPrompt(int Prompt, int[][] Tokens, string[] Texts, bool[] Truncated, double?[][] Rewards);
}
