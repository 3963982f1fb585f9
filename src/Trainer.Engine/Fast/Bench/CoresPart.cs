namespace Trainer.Engine.Fast.Bench;

/// <summary>A part of a step on one core and on many.</summary>
/// <param name="Name">The part.</param>
/// <param name="One">Seconds on one core, measured.</param>
/// <param name="Many">Seconds on the simulated team.</param>
/// <param name="Alone">What of <paramref name="Many"/> is in no loop: one thread's work.</param>
public sealed record CoresPart(string Name, double One, double Many, double Alone)
{
    /// <summary>How many times as fast the team is.</summary>
    public double SpeedUp => Many > 0 ? One / Many : 1;
}
