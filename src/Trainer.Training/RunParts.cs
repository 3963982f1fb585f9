using Trainer.Distributed;
using Trainer.Training.Answers;
using Trainer.Training.Records;
using Trainer.Training.Rollouts;
using Trainer.Training.State;
using Trainer.Training.Steps;

namespace Trainer.Training;

/// <summary>What a run has when everything is loaded and no step is made.</summary>
internal sealed record RunParts
{
    public required TrainingOptions Options { get; init; }

    public required RunFolder Folder { get; init; }

    public required RunManifest Manifest { get; init; }

    public required IAdaptedModel Model { get; init; }

    public required ITrainingData Data { get; init; }

    public required Events Events { get; init; }

    public ICollective Ranks { get; init; } = new SingleProcess();

    /// <summary>Answers a sample prompt; null where none is asked for.</summary>
    public Func<IReadOnlyList<string>, IReadOnlyList<string>>? Sample { get; init; }

    /// <summary>Lets the model answer held-out rows; null where none is asked.</summary>
    public AnswerEvaluation? Answers { get; init; }

    /// <summary>Makes up the answers that the run learns from; null where they come with the data.</summary>
    public RolloutMaker? Rollouts { get; init; }

    public Func<int> SignalExitCode { get; init; } = () => 130;

    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>The clock's timestamp when the command began; null is now.</summary>
    public long? BeganAt { get; init; }
}
