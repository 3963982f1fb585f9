namespace Trainer.Cli.CommandLine;

/// <summary>The command line or recipe is wrong; every fault found is in it.</summary>
internal sealed class UsageException(IReadOnlyList<string> faults) : Exception(string.Join(Environment.NewLine, faults))
{
    public UsageException(string fault) : this([fault]) { }

    public IReadOnlyList<string> Faults { get; } = faults;
}
