namespace Trainer.Training.Schedules;

/// <summary>What a schedule is made for.</summary>
/// <param name="Peak">Highest rate.</param>
/// <param name="Minimum"><c>--min-lr</c>.</param>
/// <param name="Warmup">Steps of warm-up W.</param>
/// <param name="Total">Optimizer steps in all, N.</param>
/// <param name="Arguments">What the schedule alone reads.</param>
internal sealed record ScheduleSetup(double Peak, double Minimum, int Warmup, int Total, Arguments Arguments)
{
    /// <summary>Progress after warm-up, p = (s - W) / (N - W): 0 at the peak, 1 at the end, above 1 past it.</summary>
    public double Progress(int step) => (step - Warmup) / (double)Math.Max(1, Total - Warmup);

    /// <summary>The linear warm-up of transformers: its first step has rate 0.</summary>
    public double WarmupRate(int step) => Peak * (step / (double)Math.Max(1, Warmup));
}

/// <summary>One row of the table of schedules.</summary>
/// <param name="Name">As <c>--lr-scheduler</c> takes it.</param>
/// <param name="Arguments">What <c>--lr-scheduler-args</c> may hold.</param>
/// <param name="Make">Gives the rate of each zero-based step.</param>
internal sealed record Schedule(string Name, IReadOnlyList<ArgumentSpec> Arguments, Func<ScheduleSetup, Func<int, double>> Make)
{
    /// <summary>Whether its rate answers to evaluations.</summary>
    public bool IsPlateau => Name == Plateau.Name;
}
