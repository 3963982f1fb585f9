namespace Trainer.Training.Options;

/// <summary>The command line or recipe is wrong; every fault found is in it.</summary>
public sealed class UsageException(IReadOnlyList<string> faults) : Exception(string.Join(Environment.NewLine, faults))
{
    /// <summary>One fault.</summary>
    public UsageException(string fault) : this([fault]) { }

    /// <summary>A sentence each.</summary>
    public IReadOnlyList<string> Faults { get; } = faults;
}
