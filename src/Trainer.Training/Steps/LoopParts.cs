using Trainer.Distributed;
using Trainer.Training.Answers;
using Trainer.Training.Objectives;
using Trainer.Training.Optimizers;
using Trainer.Training.Records;
using Trainer.Training.Schedules;
using Trainer.Training.State;
using Trainer.Training.Watch;

namespace Trainer.Training.Steps;

/// <summary>What a loop is made of.</summary>
internal sealed record LoopParts
{
    public required TrainingOptions Options { get; init; }

    public required IAdaptedModel Model { get; init; }

    public required ITrainingData Data { get; init; }

    public required RunState State { get; init; }

    public required IObjective Objective { get; init; }

    public required IOptimizer Optimizer { get; init; }

    public required LearningRate Rate { get; init; }

    public required ICheckpoints Checkpoints { get; init; }

    public required StopWatcher Stop { get; init; }

    public required Watchdog Watchdog { get; init; }

    public required Events Events { get; init; }

    /// <summary>Answers a sample prompt; null where none is asked for.</summary>
    public Func<IReadOnlyList<string>, IReadOnlyList<string>>? Sample { get; init; }

    /// <summary>Lets the model answer held-out rows; null where none is asked.</summary>
    public AnswerEvaluation? Answers { get; init; }

    public ICollective Ranks { get; init; } = new SingleProcess();

    public TimeProvider Time { get; init; } = TimeProvider.System;
}
