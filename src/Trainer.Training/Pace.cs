namespace Trainer.Training;

/// <summary>What evaluations or checkpoints are counted in.</summary>
public enum Pace
{
    /// <summary>Every so many optimizer steps.</summary>
    Steps,

    /// <summary>At the end of each epoch.</summary>
    Epoch,
}
