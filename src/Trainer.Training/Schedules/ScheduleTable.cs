namespace Trainer.Training.Schedules;

/// <summary>
/// Every schedule, once; formulas and defaults are those of transformers' optimization.py. With s the zero-based step, W warm-up steps and N steps
/// in all, the rate is peak * s / W for s below W, and then a function of p = (s - W) / (N - W).
/// </summary>
public static class ScheduleTable
{
    private static readonly string[] Shapes = ["linear", "cosine", "1-sqrt"];

    private static readonly Schedule[] All =
    [
        new("cosine", [new("num_cycles", "0.5")], Cosine),
        new("linear", [], setup => Warmed(setup, step => setup.Minimum + (setup.Peak - setup.Minimum) * Math.Max(0, 1 - setup.Progress(step)))),
        new("constant", [], setup => Warmed(setup, _ => setup.Peak)),
        new("wsd", [], Wsd),
        new("warmup-stable-decay", [new("num_decay_steps", null) { Minimum = 1 }, new("num_stable_steps", null), Shape("warmup_type", "linear"),
            Shape("decay_type", "cosine"), Ratio("min_lr_ratio", "0"), new("num_cycles", "0.5")], StableDecay),
        new("cosine-with-restarts", [new("num_cycles", "1") { Minimum = 1 }], Restarts),
        new("cosine-with-min-lr", [new("num_cycles", "0.5"), Ratio("min_lr_rate", null), new("min_lr", null)], CosineWithMinimum),
        new("cosine-warmup-with-min-lr", [new("num_cycles", "0.5"), Ratio("min_lr_rate", null), new("min_lr", null), Ratio("warmup_lr_rate", null)],
            CosineWarmupWithMinimum),
        new("polynomial", [new("lr_end", "1e-7"), new("power", "1")], Polynomial),
        new("inverse-sqrt", [new("timescale", null) { Minimum = 1 }], InverseSqrt),
        new(Plateau.Name, Plateau.Arguments, setup => _ => setup.Peak),
    ];

    /// <summary>The words that <c>--lr-scheduler</c> takes.</summary>
    public static IReadOnlyList<string> Names => [.. All.Select(schedule => schedule.Name)];

    /// <exception cref="OptionException">There is none of that name.</exception>
    internal static Schedule Find(string name) =>
        Array.Find(All, schedule => schedule.Name == name)
        ?? throw new OptionException($"--lr-scheduler '{name}' is no schedule; use one of {string.Join(", ", Names)}");

    private static ArgumentSpec Ratio(string name, string? usual) => new(name, usual) { Maximum = 1 };

    private static ArgumentSpec Shape(string name, string usual) => new(name, usual) { Words = Shapes };

    private static Func<int, double> Warmed(ScheduleSetup setup, Func<int, double> after) => step => step < setup.Warmup ? setup.WarmupRate(step) : after(step);

    private static double HalfCosine(double cycles, double progress) => Math.Max(0, 0.5 * (1 + Math.Cos(Math.PI * cycles * 2 * progress)));

    private static Func<int, double> Cosine(ScheduleSetup setup)
    {
        var cycles = setup.Arguments.Number("num_cycles");
        return Warmed(setup, step => setup.Minimum + (setup.Peak - setup.Minimum) * HalfCosine(cycles, setup.Progress(step)));
    }

    private static Func<int, double> Restarts(ScheduleSetup setup)
    {
        var cycles = setup.Arguments.Number("num_cycles");
        return Warmed(setup, step =>
        {
            var progress = setup.Progress(step);
            return progress >= 1 ? setup.Minimum : setup.Minimum + (setup.Peak - setup.Minimum) * HalfCosine(0.5, cycles * progress % 1);
        });
    }

    // The floor as a share of the peak; --min-lr serves where neither argument is given.
    private static double Floor(ScheduleSetup setup)
        => setup.Arguments.Optional("min_lr_rate") ?? (setup.Arguments.Optional("min_lr") ?? setup.Minimum) / setup.Peak;

    private static Func<int, double> CosineWithMinimum(ScheduleSetup setup)
    {
        var (cycles, floor) = (setup.Arguments.Number("num_cycles"), Floor(setup));
        return Warmed(setup, step => setup.Peak * Math.Max(0, HalfCosine(cycles, setup.Progress(step)) * (1 - floor) + floor));
    }

    // Warm-up and decay are both one step ahead, so that no step has rate 0.
    private static Func<int, double> CosineWarmupWithMinimum(ScheduleSetup setup)
    {
        var (cycles, floor, start) = (setup.Arguments.Number("num_cycles"), Floor(setup), setup.Arguments.Optional("warmup_lr_rate"));
        return step =>
        {
            if (step < setup.Warmup)
            {
                return setup.Peak * (start is { } from
                    ? from + (1 - from) * step / Math.Max(1, setup.Warmup - 1)
                    : (step + 1.0) / Math.Max(1, setup.Warmup));
            }
            var progress = (step - setup.Warmup + 1) / (double)Math.Max(1, setup.Total - setup.Warmup);
            return setup.Peak * Math.Max(0, HalfCosine(cycles, progress) * (1 - floor) + floor);
        };
    }

    private static Func<int, double> Polynomial(ScheduleSetup setup)
    {
        var power = setup.Arguments.Number("power");
        var end = setup.Minimum > 0 ? setup.Minimum : setup.Arguments.Number("lr_end");
        if (end >= setup.Peak)
            throw new OptionException($"--lr-scheduler polynomial ends at {end}, which is not below --learning-rate {setup.Peak}; lower lr_end");
        return Warmed(setup, step => step > setup.Total ? end : (setup.Peak - end) * Math.Pow(1 - setup.Progress(step), power) + end);
    }

    private static Func<int, double> InverseSqrt(ScheduleSetup setup)
    {
        var scale = setup.Arguments.Optional("timescale") ?? (setup.Warmup > 0 ? setup.Warmup : 10_000);
        return Warmed(setup, step => Math.Max(setup.Minimum, setup.Peak / Math.Sqrt((step + scale - setup.Warmup) / scale)));
    }

    /// <summary>The peak until the last tenth of N, and from there a straight line to the minimum.</summary>
    private static Func<int, double> Wsd(ScheduleSetup setup)
    {
        var begin = Math.Max(setup.Warmup, setup.Total - Math.Max(1, setup.Total / 10));
        return Warmed(setup, step => step < begin
            ? setup.Peak
            : setup.Minimum + (setup.Peak - setup.Minimum) * Math.Max(0, (setup.Total - step) / (double)Math.Max(1, setup.Total - begin)));
    }

    private static Func<int, double> StableDecay(ScheduleSetup setup)
    {
        var arguments = setup.Arguments;
        var decay = (int)(arguments.Optional("num_decay_steps") ?? Math.Max(1, setup.Total / 10));
        var stable = (int)(arguments.Optional("num_stable_steps") ?? setup.Total - setup.Warmup - decay);
        if (stable < 0)
            throw new OptionException($"--lr-scheduler warmup-stable-decay: {setup.Warmup} steps of warm-up and {decay} of decay are more than the "
                + $"run's {setup.Total}; lower num_decay_steps");
        var (floor, cycles) = (setup.Minimum > 0 ? setup.Minimum / setup.Peak : arguments.Number("min_lr_ratio"), arguments.Number("num_cycles"));
        var (rise, fall) = (arguments.Word("warmup_type"), arguments.Word("decay_type"));
        return step =>
        {
            if (step < setup.Warmup) return setup.Peak * Lifted(Rise(rise, step / (double)Math.Max(1, setup.Warmup)));
            if (step < setup.Warmup + stable) return setup.Peak;
            if (step < setup.Warmup + stable + decay)
                return setup.Peak * Lifted(Fall(fall, (step - setup.Warmup - stable) / (double)Math.Max(1, decay), cycles));
            return setup.Peak * floor;
        };

        double Lifted(double factor) => Math.Max(0, factor * (1 - floor) + floor);
    }

    private static double Rise(string shape, double progress) => shape switch
    {
        "cosine" => 0.5 * (1 - Math.Cos(Math.PI * progress)),
        "1-sqrt" => 1 - Math.Sqrt(1 - progress),
        _ => progress,
    };

    private static double Fall(string shape, double progress, double cycles) => shape switch
    {
        "cosine" => 0.5 * (1 + Math.Cos(Math.PI * cycles * 2 * progress)),
        "1-sqrt" => 1 - Math.Sqrt(progress),
        _ => 1 - progress,
    };
}
