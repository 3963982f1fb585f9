namespace Trainer.Engine.Fast.Operations;

/// <summary>How long a part of a step took.</summary>
/// <param name="Seconds">All of it.</param>
/// <param name="InLoops">What of it a simulated team went through in loops; the rest is one thread's.</param>
internal readonly record struct PartTime(double Seconds, double InLoops)
{
    public static PartTime operator +(PartTime a, PartTime b) => new(a.Seconds + b.Seconds, a.InLoops + b.InLoops);

    public static PartTime operator -(PartTime a, PartTime b) => new(a.Seconds - b.Seconds, a.InLoops - b.InLoops);

    public static PartTime operator *(PartTime a, double factor) => new(a.Seconds * factor, a.InLoops * factor);
}
