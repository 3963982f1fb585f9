using Trainer.Training.Objectives;
using Trainer.Training.Records;

namespace Trainer.Training.Rollouts;

/// <summary>The reward programs of a run: started together, ended with it.</summary>
internal sealed class RewardPrograms : IDisposable
{
    private readonly List<IRewards> _all = [];

    private RewardPrograms() { }

    /// <summary>In the order of the command line.</summary>
    public IReadOnlyList<IRewards> All => _all;

    /// <summary>Starts them.</summary>
    /// <param name="options">Their commands.</param>
    /// <param name="events">Hears what they complain of.</param>
    /// <exception cref="RewardException">One cannot be started.</exception>
    public static RewardPrograms Start(GrpoOptions options, Events events)
    {
        var programs = new RewardPrograms();
        try
        {
            foreach (var (command, name) in options.RewardCommands.Zip(RewardNames.Of(options.RewardCommands)))
                programs._all.Add(new RewardProgram(command, name, options.RewardTimeout, events));
            return programs;
        }
        catch
        {
            programs.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        foreach (var program in _all) program.Dispose();
    }
}
