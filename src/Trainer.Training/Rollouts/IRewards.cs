namespace Trainer.Training.Rollouts;

/// <summary>Says how good answers are.</summary>
internal interface IRewards : IDisposable
{
    /// <summary>Its name in what is measured.</summary>
    string Name { get; }

    /// <summary>The reward of each answer; null where it has nothing to say of one.</summary>
    /// <param name="questions">One line of JSON each.</param>
    /// <param name="rows">The row that each belongs to, for messages.</param>
    /// <param name="between">Called while it is waited for; may throw.</param>
    /// <exception cref="RewardException">It failed.</exception>
    double?[] Ask(IReadOnlyList<string> questions, IReadOnlyList<Data.RowSource> rows, Action between);
}
