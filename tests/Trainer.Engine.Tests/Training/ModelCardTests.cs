using Trainer.Data;
using Trainer.Training;
using Trainer.Training.State;
using Trainer.Training.Steps;

namespace Trainer.Engine.Tests.Training;

/// <summary>What the adapter's README says of its values.</summary>
[Trait("ring", "model")]
public class ModelCardTests
{
    [Theory]
    [InlineData(12, "| values | of step 12, the last |")]
    [InlineData(8, "| values | of step 8, the best |")]
    public void The_card_names_the_step_whose_values_the_adapter_holds_beside_the_best_one(int taken, string line)
    {
        var state = new RunState { Step = 12, BestStep = 8, BestEvalLoss = 1.5 };
        var card = ModelCard.Text(new TrainingOptions { Model = "m", ModelDirectory = "m", OutputDirectory = "o", Data = new DataOptions { Train = [] } },
            state, taken).Split('\n');
        Assert.Contains(line, card);
        Assert.Contains("| best held-out loss | 1.5 (step 8) |", card);
    }
}
