using System.Globalization;
using Trainer.Models.Lora;
using Trainer.Training.Objectives;
using Trainer.Training.Optimizers;
using Trainer.Training.Options;
using Trainer.Training.Schedules;

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
        void Try(Action check)
        {
            try
            {
                check();
            }
            catch (OptionException fault)
            {
                faults.Add(fault.Message);
            }
        }
        Need(Directory.Exists(options.ModelDirectory), $"--model '{options.Model}': there is no folder '{options.ModelDirectory}'");
        foreach (var setting in TrainSettings.All)
            if (setting.Property?.Get(options) is (int or double) and var value)
                Need(setting.Holds(Convert.ToDouble(value, CultureInfo.InvariantCulture)), $"{setting.Option} {value} is out of range{setting.Range}");
        Need(options.MinLr <= options.LearningRate, $"--min-lr {options.MinLr} must not be above --learning-rate {options.LearningRate}");
        Need(options.LrScheduler != Plateau.Name || options.EvaluatesBetween,
            $"--lr-scheduler {Plateau.Name} answers to evaluations: it needs --eval-steps or --eval-strategy epoch");
        Need(
            !OptimizerTable.IsScheduleFree(options.Optim) || options.LrScheduler == "constant",
            $"--optim {options.Optim} replaces the schedule; pass --lr-scheduler constant and --optim-args warmup_steps=N");
        faults.AddRange(PreferenceCheck.Faults(options));
        if (GrpoCheck.Missing(options) is { } missing) faults.Add(missing);
        Need(
            options.AdapterDirectory is not null || options.Lora.Dropout == 0 || options.Lora.Init is not (AdapterInit.Pissa or AdapterInit.Olora),
            "--lora-dropout would drop parts of the base with --init-lora pissa or olora; leave it at 0");
        Need(options.AdapterDirectory is not null || options.Lora.Init != AdapterInit.Loftq || !options.Lora.UseDora,
            "--init-lora loftq and --use-dora: the directions of DoRA would begin off the base's; keep one");
        Need(options.AdapterDirectory is not null || options.Lora.Init != AdapterInit.Loftq || options.Stream != Choice.On,
            "--init-lora loftq compares the base with its quantized copy, and a streamed base is that copy alone; pass --stream off");
        Need(options.Lora.Init == AdapterInit.Eva || options.Lora.EvaRho == new LoraOptions().EvaRho,
            "--eva-rho is read by --init-lora eva alone; leave it out");
        Try(() => OptimizerTable.Check(options));
        Try(() => _ = new LearningRate(options, options.MaxSteps ?? int.MaxValue, new Plateau()));
        Need(options.EarlyStoppingPatience is null || options.EvaluatesBetween, "--early-stopping-patience needs --eval-steps or --eval-strategy epoch");
        Need(options.EarlyStoppingPatience is null || options.Saves, "--early-stopping-patience keeps the best checkpoint: it needs --save-steps above 0");
        Need(!options.LoadBestModelAtEnd || options.EvaluatesBetween, "--load-best-model-at-end needs --eval-steps or --eval-strategy epoch");
        Need(!options.LoadBestModelAtEnd || options.Saves, "--load-best-model-at-end takes the best checkpoint: it needs --save-steps above 0");
        foreach (var (option, steps) in new[] { ("--eval-steps", options.EvalSteps ?? 1), ("--save-steps", options.SaveSteps) })
            Need(steps < 1 || steps == Math.Truncate(steps), $"{option} {steps} is no whole number; a number below 1 is a share of all steps");
        Need(options.EvalMetrics.Count == 0 || options.Objective == "sft", "--eval-metrics measure answers to supervised rows; leave them out");
        Need(options.EvalStrategy == Pace.Steps || options.EvalSteps is null, "--eval-strategy epoch and --eval-steps both say when to evaluate; keep one");
        Need(options.Resume is null || !options.OverwriteOutputDirectory, "--resume and --overwrite-output-dir contradict each other; keep one");
        if (faults.Count > 0) throw new OptionException(string.Join("; ", faults));
    }
}
