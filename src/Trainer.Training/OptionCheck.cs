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
        Need(options.MaxSteps is null or > 0, $"--max-steps {options.MaxSteps} must be at least 1");
        Need(options.Epochs > 0 && double.IsFinite(options.Epochs), $"--epochs {options.Epochs} must be above 0");
        Need(options.BatchSize > 0, $"--batch-size {options.BatchSize} must be at least 1");
        Need(options.GradientAccumulationSteps > 0, $"--gradient-accumulation-steps {options.GradientAccumulationSteps} must be at least 1");
        Need(options.LearningRate >= 0 && double.IsFinite(options.LearningRate), $"--learning-rate {options.LearningRate} must be a finite number from 0");
        Need(options.MinLr >= 0 && options.MinLr <= options.LearningRate, $"--min-lr {options.MinLr} must lie between 0 and --learning-rate {options.LearningRate}");
        Need(options.WarmupSteps >= 0, $"--warmup-steps {options.WarmupSteps} must not be negative");
        Need(options.WeightDecay >= 0, $"--weight-decay {options.WeightDecay} must not be negative");
        Need(options.MaxGradNorm >= 0, $"--max-grad-norm {options.MaxGradNorm} must not be negative; 0 is off");
        Need(options.AdamBeta1 is >= 0 and < 1 && options.AdamBeta2 is >= 0 and < 1, $"--adam-beta1 {options.AdamBeta1} and --adam-beta2 {options.AdamBeta2} must lie in [0, 1)");
        Need(options.LoggingSteps > 0, $"--logging-steps {options.LoggingSteps} must be at least 1");
        Need(options.EvalSteps is null or > 0, $"--eval-steps {options.EvalSteps} must be at least 1");
        Need(options.SaveSteps >= 0, $"--save-steps {options.SaveSteps} must not be negative; 0 writes no checkpoints");
        Need(options.EarlyStoppingPatience is null or > 0, $"--early-stopping-patience {options.EarlyStoppingPatience} must be at least 1");
        Need(options.EarlyStoppingPatience is null || options.EvalSteps is not null, "--early-stopping-patience needs --eval-steps");
        Need(options.EarlyStoppingPatience is null || options.SaveSteps > 0, "--early-stopping-patience keeps the best checkpoint: it needs --save-steps above 0");
        Need(options.Resume is null || !options.OverwriteOutputDirectory, "--resume and --overwrite-output-dir contradict each other; keep one");
        if (faults.Count > 0) throw new OptionException(string.Join("; ", faults));
    }
}
