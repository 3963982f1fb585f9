using Trainer.Data;
using Trainer.Training.Objectives;
using Trainer.Training.Records;

namespace Trainer.Training.Rollouts;

/// <summary>The reward programs outside of a run: they say of given answers what they would say while training.</summary>
public sealed class AnswerRewards : IDisposable
{
    private readonly RewardPrograms _programs;

    /// <summary>Starts the programs.</summary>
    /// <param name="commands">Lines for the system's shell.</param>
    /// <param name="limit">How long each may take for an answer.</param>
    /// <param name="tell">Hears what they write to their standard error.</param>
    /// <exception cref="RewardException">One cannot be started.</exception>
    public AnswerRewards(IReadOnlyList<string> commands, TimeSpan limit, Action<string> tell)
    {
        Names = RewardNames.Of(commands);
        _programs = RewardPrograms.Start(new GrpoOptions { RewardCommands = commands, RewardTimeout = limit }, new Events([new Listener(tell)]));
    }

    /// <summary>A name for each program.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>What each program says of each answer: an array an answer, in the order of <see cref="Names"/>; null where it says nothing.</summary>
    /// <param name="answers">The answers.</param>
    /// <param name="between">Called while a program is waited for; may throw.</param>
    /// <exception cref="RewardException">A program failed, or none has a reward for an answer.</exception>
    public double?[][] Of(IReadOnlyList<RewardedAnswer> answers, Action between)
    {
        var rows = answers.Select(answer => answer.Source).ToList();
        var questions = answers.Select(answer => RewardQuestion.Line(answer.Text, answer.Prompt, answer.IsTruncated, answer.Tokens, answer.Row)).ToList();
        var said = _programs.All.Select(program => program.Ask(questions, rows, between)).ToList();
        RewardQuestion.RequireReward(said, rows);
        return [.. Enumerable.Range(0, rows.Count).Select(i => said.Select(rewards => rewards[i]).ToArray())];
    }

    /// <summary>Ends the programs.</summary>
    public void Dispose() => _programs.Dispose();

    private sealed class Listener(Action<string> tell) : ITrainingObserver
    {
        public void On(TrainingEvent trainingEvent)
        {
            if (trainingEvent is Noted note) tell(note.Text);
        }
    }
}
