using Trainer.Cli.Options;
using Trainer.Data;
using Trainer.Training;

namespace Trainer.Cli.Machine;

/// <summary>A short run of the embedded model on the embedded data.</summary>
internal static class SmallRun
{
    /// <param name="model">Its folder.</param>
    /// <param name="output">The folder of the run.</param>
    /// <param name="steps">Optimizer steps.</param>
    public static TrainingOptions Of(string model, string output, int steps) => new()
    {
        Model = "tiny",
        ModelDirectory = model,
        Data = new DataOptions { Train = [new DataSource(Embedded.DemoData)] },
        OutputDirectory = output,
        MaxSteps = steps,
        LearningRate = 2e-3,
        LoggingSteps = 1,
        SaveSteps = 4,
        AllowHighLoss = true,
        Lora = new LoraOptions { Dropout = 0.05 },
    };
}
