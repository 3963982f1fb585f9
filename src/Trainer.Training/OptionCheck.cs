using System.Globalization;
using TorchSharp;
using Trainer.Training.Options;

namespace Trainer.Training;

/// <summary>Refuses options outside their range, all of them at once.</summary>
internal static class OptionCheck
{
    /// <exception cref="OptionException">Names every fault.</exception>
    public static void Require(TrainingOptions options)
    {
        var faults = new List<string>();
        void Need(bool holds, string fault)
        {
            if (!holds) faults.Add(fault);
        }
        Need(Directory.Exists(options.ModelDirectory), $"--model '{options.Model}': there is no folder '{options.ModelDirectory}'");
        foreach (var setting in TrainSettings.All)
            if (setting.Property?.Get(options) is (int or double) and var value) Need(setting.Holds(Convert.ToDouble(value, CultureInfo.InvariantCulture)), $"{setting.Option} {value} is out of range{setting.Range}");
        Need(!options.Device.StartsWith("cuda", StringComparison.Ordinal) || torch.cuda.is_available(), $"--device {options.Device}: no CUDA device can be used here; take --device cpu, or see 'trainer doctor'");
        Need(options.MinLr <= options.LearningRate, $"--min-lr {options.MinLr} must not be above --learning-rate {options.LearningRate}");
        Need(options.EarlyStoppingPatience is null || options.EvalSteps is not null, "--early-stopping-patience needs --eval-steps");
        Need(options.EarlyStoppingPatience is null || options.SaveSteps > 0, "--early-stopping-patience keeps the best checkpoint: it needs --save-steps above 0");
        Need(options.Resume is null || !options.OverwriteOutputDirectory, "--resume and --overwrite-output-dir contradict each other; keep one");
        if (faults.Count > 0) throw new OptionException(string.Join("; ", faults));
    }
}
