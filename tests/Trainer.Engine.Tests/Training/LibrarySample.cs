using Trainer.Data;
using Trainer.Training;

namespace Trainer.Engine.Tests.Training;

internal static class LibrarySample
{
    // What stands between the two marks is the sample of src/Trainer.Training/README.md, letter for letter.
    // <sample>
    public static TrainingResult Train(string model, string rows, string output, CancellationToken stop)
    {
        var options = new TrainingOptions
        {
            Model = model,
            ModelDirectory = model,
            Data = new DataOptions { Train = [new DataSource(rows)] },
            OutputDirectory = output,
            MaxSteps = 20,
            LearningRate = 1e-3,
            Lora = new LoraOptions { Rank = 8 },
        };
        return TrainingRun.Run(options, [new LossWatch()], stop);
    }

    private sealed class LossWatch : ITrainingObserver
    {
        public void On(TrainingEvent trainingEvent)
        {
            if (trainingEvent is StepDone step) Console.WriteLine($"step {step.Step} loss {step.Loss:0.000}");
        }
    }
    // </sample>
}
