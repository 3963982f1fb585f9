using System.Globalization;
using Trainer.Training;
using Trainer.Training.Answers;
using Trainer.Training.Options;
using Trainer.Training.Records;

namespace Trainer.Cli.Rendering;

/// <summary>Parts of a run's picture as text, each fitting the given width.</summary>
internal static class RunLines
{
    public static string Number(double value, string format) => double.IsNaN(value) ? "-" : value.ToString(format, CultureInfo.InvariantCulture);

    public static string Rate(double value) => Quantities.Plain(double.Parse(value.ToString("E2", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture));

    /// <summary>The panel's lines: bar, losses, held-out, speed, checkpoint.</summary>
    public static IReadOnlyList<string> Panel(RunHistory history, int width, bool unicode)
    {
        var lines = new List<string>();
        if (history.Phase is { } phase) lines.Add(PhaseLine(phase, width, unicode));
        if (history.Started is not { } started) return lines;
        var step = history.Steps.Count > 0 ? history.Steps[^1] : null;
        var done = step?.Step ?? started.FirstStep;
        var eta = history.SecondsLeft() is { } left ? $"{Quantities.Duration(left)} left" : "";
        lines.Add(BarLine($"step {done}/{started.MaxSteps}", done, started.MaxSteps, eta, width, unicode));
        if (step is null) return lines;
        var loss = $"loss {step.Loss.ToString("0.0000", CultureInfo.InvariantCulture)}  smoothed {Number(history.SmoothedLoss, "0.0000")}  ";
        var room = width - loss.Length;
        double[] losses = [.. history.Steps.Select(row => row.Loss)];
        if (room >= 8) lines.Add(loss + Sparkline.Draw(losses, Math.Min(room, 60), unicode));
        else lines.AddRange([Cut(loss.TrimEnd(), width), Sparkline.Draw(losses, width, unicode)]);
        if (step.Metrics.Count > 0) lines.AddRange(Join(Measured(step.Metrics), width));
        if (history.Evals.Count > 0)
            lines.AddRange(Join(HeldOut(history.Evals[^1], history.BestEval!), width));
        lines.AddRange(Join(
        [
            $"lr {Rate(step.LearningRate)}", $"grad norm {Number(step.GradNorm, "0.000")}", $"{Number(step.TokensPerSecond, "0")} tokens/s",
            $"memory {Quantities.Bytes(step.MemoryBytes)}",
            $"epoch {Number(step.Epoch, "0.00")}", $"{Quantities.Duration(step.ElapsedSeconds)} so far",
        ], width));
        if (history.LastSaved is { } saved) lines.Add(Cut($"saved {Path.GetFileName(saved.Directory.TrimEnd('/'))}", width));
        return lines;
    }

    private static IEnumerable<string> HeldOut(EvalDone last, EvalDone best) =>
    [
        $"held-out {Number(last.EvalLoss, "0.0000")}", .. Measured(last.Metrics),
        $"best {(best.Metric == EvalMetric.Loss ? "" : best.Metric + " ")}{Number(best.Value, "0.0000")} at step {best.Step}",
    ];

    /// <summary>What was measured beside the loss, in words: by the objective, and of the answers that the model gave to held-out rows.</summary>
    public static IEnumerable<string> Measured(IReadOnlyDictionary<string, double> metrics)
    {
        foreach (var (name, word, format) in new[]
        {
            ("rewards/accuracies", "accuracy", "0.00"), ("rewards/margins", "margin", "0.0000"), ("rewards/chosen", "reward chosen", "0.000"),
            ("rewards/rejected", "reward rejected", "0.000"),
            ("logps/chosen", "log p chosen", "0.0"), ("logps/rejected", "log p rejected", "0.0"), ("reward", "reward", "0.000"),
            ("reward_std", "spread", "0.000"), ("frac_reward_zero_std", "groups without spread", "0.00"), ("completions/mean_length", "answer length", "0.0"),
            ("completions/clipped_ratio", "cut", "0.00"), ("kl", "kl", "0.000"),
        }.Concat(AnswerMetrics.Names.Select(name => (name, name, "0.0000"))))
            if (metrics.TryGetValue(name, out var value)) yield return $"{word} {Number(value, format)}";
    }

    public static string PhaseLine(PhaseProgressed phase, int width, bool unicode) =>
        BarLine(phase.Phase, phase.Done, phase.Total, "", width, unicode);

    private static string BarLine(string left, long done, long total, string right, int width, bool unicode)
    {
        var share = total > 0 ? Math.Clamp((double)done / total, 0, 1) : 0;
        var percent = $"{(int)(share * 100),3}%";
        var room = Math.Min(50, width - left.Length - percent.Length - (right.Length > 0 ? right.Length + 2 : 0) - 2);
        if (room < 6) return Cut($"{left} {percent.Trim()}" + (right.Length > 0 ? " " + right : ""), width);
        var full = (int)Math.Round(share * room);
        var (on, off) = unicode ? ('━', '─') : ('#', '.');
        return $"{left} {new string(on, full)}{new string(off, room - full)} {percent}" + (right.Length > 0 ? "  " + right : "");
    }

    /// <summary>Words set side by side, broken into as many lines as the width needs.</summary>
    private static List<string> Join(IEnumerable<string> parts, int width)
    {
        var lines = new List<string>();
        foreach (var part in parts)
        {
            if (lines.Count > 0 && lines[^1].Length + 2 + part.Length <= width) lines[^1] += "  " + part;
            else lines.Add(Cut(part, width));
        }
        return lines;
    }

    private static string Cut(string text, int width) => text.Length <= width ? text : text[..Math.Max(0, width)];
}
