using Trainer.Training;
using Trainer.Training.Plan;

namespace Trainer.Engine.Tests.Training;

/// <summary>The time of a whole run from what a short one showed, by a clock that the test moves.</summary>
public class RehearsalClockTests
{
    private sealed class Hand : TimeProvider
    {
        public double Seconds { get; set; }

        public override long TimestampFrequency => 1000;

        public override long GetTimestamp() => (long)Math.Round(Seconds * 1000);
    }

    [Fact]
    public void A_run_is_its_start_and_end_and_as_many_warm_steps_evaluations_and_checkpoints_as_it_has()
    {
        var hand = new Hand { Seconds = 100 };
        var clock = new RehearsalClock(hand);
        void Hear(double after, TrainingEvent record)
        {
            hand.Seconds += after;
            clock.On(record);
        }
        Hear(2, new Noted("loading"));
        Hear(1, new RunStarted(0, 4, 1, 1));
        Hear(0.5, new EvalDone(0, 0, 1, 1, 1, 0.5, false));
        Hear(0.25, new Sampled(0, "a", "b"));
        foreach (var seconds in new[] { 1, 0.2, 0.1, 0.1 }) Hear(seconds, new StepDone(1, 0, 1, 0, 1, 1, 1, 1, 1, 1, true));
        Hear(0.25, new EvalDone(4, 1, 1, 1, 1, 0.25, true));
        Hear(0.4, new Saved(2, "d", IsFinal: false));
        Hear(0.3, new Saved(4, "d", IsFinal: false));
        Hear(0.6, new Saved(4, "d", IsFinal: true));
        hand.Seconds += 0.4;
        var parts = clock.Parts(before: 0.7, steps: 104, evaluations: 3, saves: 5).ToDictionary(part => part.Name, part => part.Seconds);
        Assert.Equal(3.7, parts["start"], 1e-9);
        Assert.Equal(1.4 + 100 * 0.1, parts["steps"], 1e-9);
        Assert.Equal(0.5 + 0.25 + 0.25 + 0.25, parts["evaluations"], 1e-9);
        Assert.Equal(0.7 + 3 * 0.3, parts["checkpoints"], 1e-9);
        Assert.Equal(1, parts["adapter, proof and report"], 1e-9);
        Assert.Equal(5, parts.Count);
    }

    [Fact]
    public void What_a_run_does_not_do_is_no_part()
    {
        var hand = new Hand();
        var clock = new RehearsalClock(hand);
        clock.On(new RunStarted(0, 1, 1, 1));
        hand.Seconds = 2;
        clock.On(new StepDone(1, 0, 1, 0, 1, 1, 1, 1, 1, 1, true));
        Assert.Equal(["start", "steps", "adapter, proof and report"], clock.Parts(0, 1, 0, 0).Select(part => part.Name));
        Assert.Equal(2, clock.Parts(0, 1, 0, 0).Sum(part => part.Seconds), 1e-9);
    }
}
