using System.Globalization;
using Trainer.Training.Records;

namespace Trainer.Training.Watch;

/// <summary>Says what a run on rewards does that its loss does not show: groups of which nothing can be learnt, a reward that does not move, answers that are
/// all cut.</summary>
internal sealed class RewardWatch(Events events)
{
    private const int Window = 8;
    private const int StillSteps = 50;

    private readonly HashSet<string> _said = [];
    private int _flat, _cut, _still;
    private double? _reward;

    /// <summary>Hears what a step measured.</summary>
    /// <param name="step">Steps made.</param>
    /// <param name="metrics">By TRL's names; empty where nothing is measured.</param>
    public void Stepped(int step, IReadOnlyDictionary<string, double> metrics)
    {
        if (!metrics.TryGetValue("reward", out var reward)) return;
        _flat = metrics["frac_reward_zero_std"] == 1 ? _flat + 1 : 0;
        _cut = metrics["completions/clipped_ratio"] == 1 ? _cut + 1 : 0;
        _still = reward == _reward ? _still + 1 : 0;
        _reward = reward;
        var shown = reward.ToString("0.####", CultureInfo.InvariantCulture);
        if (_flat == Window)
            Say("flat", $"step {step}: in {Window} steps all answers to a prompt had the same reward, so nothing is learnt; take other prompts, a finer "
                + "reward, a higher --temperature or more --num-generations");
        if (_cut == Window)
            Say("cut", $"step {step}: in {Window} steps every answer was cut by its length; raise --max-completion-length, or look whether the model ends its "
                + "answers at all");
        if (_still == StillSteps)
            Say("still", $"step {step}: the reward has been {shown} for {StillSteps} steps; look at what the reward program answers");
    }

    private void Say(string what, string text)
    {
        if (_said.Add(what)) events.Warn(text);
    }
}
