using Trainer.Training.Records;

namespace Trainer.Training.Watch;

/// <summary>
/// Says what a preference run does that its loss does not show: a margin that was won and is lost again, and both answers becoming unlikely, which
/// the loss allows as long as the rejected one falls faster. Rows differ from step to step, so means over some steps are compared.
/// </summary>
internal sealed class PreferenceWatch(TrainingOptions options, Events events)
{
    private const int Window = 8;
    // An answer that loses a tenth of its log-probability is noticed in what the model writes.
    private const double Share = 0.1;

    private readonly Queue<IReadOnlyDictionary<string, double>> _recent = new();
    private (double Mean, double Error)? _bestMargin;
    private IReadOnlyDictionary<string, double>? _firstSteps, _firstEval;
    private double? _bestEvalMargin;
    private bool _saidMargin, _saidFall;

    /// <summary>Hears what a step measured.</summary>
    /// <param name="step">Steps made.</param>
    /// <param name="metrics">By TRL's names; empty where the objective measures nothing.</param>
    public void Stepped(int step, IReadOnlyDictionary<string, double> metrics)
    {
        if (!metrics.ContainsKey("rewards/margins")) return;
        _recent.Enqueue(metrics);
        if (_recent.Count > Window) _recent.Dequeue();
        if (_recent.Count < Window) return;
        var margins = _recent.Select(each => each["rewards/margins"]).ToArray();
        var mean = margins.Average();
        var error = Math.Sqrt(margins.Sum(margin => (margin - mean) * (margin - mean)) / (Window - 1) / Window);
        if (_bestMargin is not { } best || mean > best.Mean) _bestMargin = (mean, error);
        else if (best.Mean > 0 && mean < best.Mean / 2 && best.Mean - mean > 3 * (error + best.Error))
            SayMargin($"over the last {Window} steps", step, mean, best.Mean);
        var means = Means();
        _firstSteps ??= means;
        SayFall($"over the last {Window} steps", step, _firstSteps, means);
    }

    /// <summary>Hears what an evaluation measured: the same rows each time.</summary>
    /// <param name="step">Steps made.</param>
    /// <param name="metrics">By TRL's names.</param>
    public void Evaluated(int step, IReadOnlyDictionary<string, double> metrics)
    {
        if (!metrics.TryGetValue("rewards/margins", out var margin)) return;
        if (_bestEvalMargin is not { } best || margin > best) _bestEvalMargin = margin;
        else if (best > 0 && margin < best / 2) SayMargin("on held-out rows", step, margin, best);
        _firstEval ??= metrics;
        SayFall("on held-out rows", step, _firstEval, metrics);
    }

    private void SayMargin(string where, int step, double now, double best)
    {
        if (_saidMargin) return;
        _saidMargin = true;
        events.Warn($"step {step}: the margin between chosen and rejected answers "
            + $"collapses {where}, from {best:0.####} to {now:0.####}; lower --learning-rate, or keep the best checkpoint with --metric-for-best-model "
            + "rewards/margins");
    }

    private void SayFall(string where, int step, IReadOnlyDictionary<string, double> first, IReadOnlyDictionary<string, double> now)
    {
        if (_saidFall || Fall("chosen") is not { } chosen || Fall("rejected") is not { } rejected) return;
        _saidFall = true;
        events.Warn($"step {step}: log-probabilities of both answers fall {where}, of the chosen one by {chosen:0.##} and of the rejected one "
            + $"by {rejected:0.##}: the model unlearns what it should prefer; "
            + "raise --beta, lower "
            + $"--learning-rate{(options.Objective is "dpo" or "simpo" ? ", or add --nll-weight" : options.Objective == "kto" ? ", or add --pref-ftx" : "")}");

        // Against the reference it is the same rows that are compared; without one, other rows of the same data.
        double? Fall(string side)
        {
            if (!first.TryGetValue("logps/" + side, out var before) || !now.TryGetValue("logps/" + side, out var after)) return null;
            var fall = HasReference ? -now["rewards/" + side] / options.Preference.Beta : before - after;
            return fall > Share * Math.Abs(before) ? fall : null;
        }
    }

    private bool HasReference => Objectives.ObjectiveTable.AsksReference(options);

    private Dictionary<string, double> Means() =>
        _recent.SelectMany(each => each).GroupBy(pair => pair.Key).ToDictionary(group => group.Key, group => group.Average(pair => pair.Value),
        StringComparer.Ordinal);
}
