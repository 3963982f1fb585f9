using Trainer.Models;
using Trainer.Training.Plan;
using Trainer.Training.Records;

namespace Trainer.Training;

/// <summary>What the loop says; console, log file, metrics.jsonl, TensorBoard and report listen.</summary>
public interface ITrainingObserver
{
    /// <summary>Called on the training thread; must not throw for a reader's trouble (closed terminal).</summary>
    void On(TrainingEvent trainingEvent);
}

/// <summary>One thing that happened.</summary>
public abstract record TrainingEvent;

/// <summary>Progress of a phase before or beside the steps: loading, quantizing, tokenizing, saving.</summary>
/// <param name="Phase">Name shown to the user.</param>
/// <param name="Done">Units done.</param>
/// <param name="Total">Units in all; equal to <paramref name="Done"/> when the phase is over.</param>
public sealed record PhaseProgressed(string Phase, long Done, long Total) : TrainingEvent;

/// <summary>A sentence for the log and the console.</summary>
/// <param name="Text">The sentence.</param>
/// <param name="IsWarning">Whether it should stand out.</param>
public sealed record Noted(string Text, bool IsWarning = false) : TrainingEvent;

/// <summary>Data and model are known; this is what the run will need.</summary>
/// <param name="Plan">The plan.</param>
public sealed record Planned(RunPlan Plan) : TrainingEvent;

/// <summary>The data is read.</summary>
/// <param name="Statistics">Counts and lengths of the training rows.</param>
public sealed record DataOpened(Data.DataStatistics Statistics) : TrainingEvent;

/// <summary>The run is about to make its first step.</summary>
/// <param name="FirstStep">Steps already made (0, or the resumed checkpoint's).</param>
/// <param name="MaxSteps">Steps in all.</param>
/// <param name="TrainableParameters">Adapter parameters.</param>
/// <param name="TotalParameters">Parameters of base and adapter.</param>
/// <param name="Compute">The type the base is multiplied in, never auto.</param>
public sealed record RunStarted(int FirstStep, int MaxSteps, long TrainableParameters, long TotalParameters, ComputeKind Compute = ComputeKind.Float32)
    : TrainingEvent;

/// <summary>One optimizer step. Losses are means over the trained tokens of the step.</summary>
/// <param name="Step">One-based optimizer step.</param>
/// <param name="Epoch">Passes over the data so far, fractional.</param>
/// <param name="Loss">Mean token loss of this step (nats).</param>
/// <param name="LearningRate">Rate used by this step.</param>
/// <param name="GradNorm">Global norm before clipping.</param>
/// <param name="Tokens">Tokens of this step.</param>
/// <param name="TrainedTokens">Of which carried loss.</param>
/// <param name="TokensPerSecond">Over this step.</param>
/// <param name="MemoryBytes">Resident memory now.</param>
/// <param name="ElapsedSeconds">Since the run began, earlier parts of a resumed run included.</param>
/// <param name="IsLogged">Whether this step is a logging step (observers that write rows write these alone).</param>
public sealed record StepDone(int Step, double Epoch, double Loss, double LearningRate, double GradNorm, long Tokens, long TrainedTokens,
    double TokensPerSecond, long MemoryBytes, double ElapsedSeconds, bool IsLogged) : TrainingEvent
{
    /// <summary>What the objective measured beside the loss, by TRL's names: means over the step's micro-batches.</summary>
    public IReadOnlyDictionary<string, double> Metrics { get; init; } = new Dictionary<string, double>();
}

/// <summary>One evaluation on the held-out rows.</summary>
/// <param name="Step">Optimizer steps made before it.</param>
/// <param name="Epoch">Passes over the training data so far.</param>
/// <param name="EvalLoss">Mean of the objective: of a token in supervised runs (nats), of a row in others.</param>
/// <param name="Tokens">Tokens evaluated.</param>
/// <param name="TrainedTokens">Of which carried loss.</param>
/// <param name="Seconds">Time it took.</param>
/// <param name="IsBest">Whether it is the best so far.</param>
public sealed record EvalDone(int Step, double Epoch, double EvalLoss, long Tokens, long TrainedTokens, double Seconds, bool IsBest) : TrainingEvent
{
    /// <summary>What evaluations are compared by, one of <see cref="Metrics"/> or <see cref="EvalMetric.Loss"/>.</summary>
    public string Metric { get; init; } = EvalMetric.Loss;

    /// <summary>Its value.</summary>
    public double Value => Metric == EvalMetric.Loss ? EvalLoss : Metrics[Metric];

    /// <summary>Whether the loss is a mean over tokens, which alone has a perplexity.</summary>
    public bool IsOfTokens { get; init; } = true;

    /// <summary>What the objective measured beside the loss, by TRL's names.</summary>
    public IReadOnlyDictionary<string, double> Metrics { get; init; } = new Dictionary<string, double>();
}

/// <summary>Text sampled at an evaluation.</summary>
/// <param name="Step">Optimizer steps made before it.</param>
/// <param name="Prompt">The prompt.</param>
/// <param name="Text">What the model said.</param>
public sealed record Sampled(int Step, string Prompt, string Text) : TrainingEvent;

/// <summary>Answers that the model made up to learn from, and what programs say of them.</summary>
/// <param name="Step">The step they are for, from 1.</param>
/// <param name="Prompts">The prompts, each with its group.</param>
public sealed record RolledOut(int Step, IReadOnlyList<RolledOutPrompt> Prompts) : TrainingEvent;

/// <summary>A prompt and its group of answers.</summary>
/// <param name="Row">Where it came from.</param>
/// <param name="Prompt">Its text.</param>
/// <param name="Answers">The answers' texts.</param>
/// <param name="Rewards">Reward of each answer by each program; null where a program had nothing to say.</param>
/// <param name="Lengths">Tokens of each answer.</param>
public sealed record RolledOutPrompt(Data.RowSource Row, string Prompt, IReadOnlyList<string> Answers, IReadOnlyList<IReadOnlyList<double?>> Rewards,
    IReadOnlyList<int> Lengths);

/// <summary>A checkpoint or the final adapter is on disk and was verified.</summary>
/// <param name="Step">Optimizer step.</param>
/// <param name="Directory">Its folder.</param>
/// <param name="IsFinal">Whether it is the finished adapter.</param>
public sealed record Saved(int Step, string Directory, bool IsFinal) : TrainingEvent;

/// <summary>The run is over.</summary>
/// <param name="Step">Last optimizer step.</param>
/// <param name="TrainLoss">Mean loss over the run.</param>
/// <param name="BestEvalLoss">Lowest held-out loss, or null.</param>
/// <param name="ElapsedSeconds">Wall clock.</param>
/// <param name="Reason">Why it ended, in words: all steps made, interrupted, early stopping, time limit.</param>
public sealed record RunEnded(int Step, double TrainLoss, double? BestEvalLoss, double ElapsedSeconds, string Reason) : TrainingEvent;
