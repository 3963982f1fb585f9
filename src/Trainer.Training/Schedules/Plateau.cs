using System.Text.Json.Serialization;

namespace Trainer.Training.Schedules;

/// <summary>
/// The rate falls by a factor when evaluations stop getting better: torch's ReduceLROnPlateau, stepped at every evaluation after the first step.
/// It is the one schedule with a memory; that memory is part of a checkpoint.
/// </summary>
internal sealed record Plateau
{
    public const string Name = "reduce-lr-on-plateau";

    public static readonly IReadOnlyList<ArgumentSpec> Arguments =
    [
        new("mode", "min") { Words = ["min", "max"] }, new("factor", "0.1") { Maximum = 1 }, new("patience", "10"), new("threshold", "1e-4"),
        new("threshold_mode", "rel") { Words = ["rel", "abs"] }, new("cooldown", "0"), new("min_lr", "0"), new("eps", "1e-8"),
    ];

    /// <summary>The rate now; null before the first evaluation.</summary>
    public double? Rate { get; set; }

    /// <summary>The best value so far.</summary>
    public double? Best { get; set; }

    /// <summary>Evaluations since then that were no better.</summary>
    public int BadEvaluations { get; set; }

    /// <summary>Evaluations during which nothing is counted, after a fall.</summary>
    public int Cooldown { get; set; }

    /// <summary>Whether anything was seen yet.</summary>
    [JsonIgnore]
    public bool IsFresh => Rate is null && Best is null;

    /// <summary>Hears an evaluation.</summary>
    /// <param name="arguments">What the user chose.</param>
    /// <param name="peak">The rate before any fall.</param>
    /// <param name="value">What was measured.</param>
    public void Evaluated(Arguments arguments, double peak, double value)
    {
        if (IsBetter(arguments, value)) (Best, BadEvaluations) = (value, 0);
        else BadEvaluations++;
        if (Cooldown > 0) (Cooldown, BadEvaluations) = (Cooldown - 1, 0);
        if (BadEvaluations <= arguments.Number("patience")) return;
        var lower = Math.Max((Rate ?? peak) * arguments.Number("factor"), arguments.Number("min_lr"));
        if ((Rate ?? peak) - lower > arguments.Number("eps")) Rate = lower;
        (Cooldown, BadEvaluations) = ((int)arguments.Number("cooldown"), 0);
    }

    private bool IsBetter(Arguments arguments, double value)
    {
        if (Best is not { } best) return true;
        var threshold = arguments.Number("threshold");
        return (arguments.Word("mode"), arguments.Word("threshold_mode")) switch
        {
            ("min", "rel") => value < best * (1 - threshold),
            ("min", _) => value < best - threshold,
            ("max", "rel") => value > best * (1 + threshold),
            _ => value > best + threshold,
        };
    }
}
