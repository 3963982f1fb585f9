using System.Reflection;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Runs;
using Trainer.Checkpoints.Safetensors;
using Trainer.Data;
using Trainer.Models;
using Trainer.Models.Lora;
using Trainer.Training;
using Trainer.Training.State;

namespace Trainer.Engine.Tests.Training;

/// <summary>A run is resumed as what it was, or every difference is named.</summary>
[Trait("ring", "model")]
public class DriftTests
{
    private static readonly Fingerprint NoFiles = new(Empty, Empty, Empty, [], Empty);

    private static Dictionary<string, string> Empty => [];

    [Fact]
    public void Every_training_option_that_differs_is_named()
    {
        var then = Options();
        var now = then with
        {
            LearningRate = 1e-3, BatchSize = 4, Seed = 7, Packing = true, LrScheduler = "linear", MaxGradNorm = 0.5, Quantize = QuantizeKind.None,
            Lora = then.Lora with { Rank = 8, Alpha = 4, TargetModules = ["q_proj"] }, Data = then.Data with { MaxSeqLength = 99, TrainOn = TrainOn.All },
        };
        var (refused, _) = Drift.Between(then, NoFiles, now, NoFiles);
        foreach (var name in new[] { "--learning-rate was 0.0002 and is 0.001", "--batch-size was 1 and is 4", "--seed", "--packing", "--lr-scheduler",
            "--max-grad-norm", "--quantize", "--lora-rank was 16 and is 8", "--lora-alpha", "--target-modules", "--max-seq-length", "--train-on" })
            Assert.Contains(refused, text => text.StartsWith(name, StringComparison.Ordinal));
        Assert.Equal(12, refused.Count);
    }

    [Fact]
    public void Saving_logging_and_where_things_lie_may_change()
    {
        var then = Options();
        var now = then with { OutputDirectory = "b", MaxSteps = 9, SaveSteps = 7, LoggingSteps = 3, MaxTime = TimeSpan.FromHours(1), SaveTotalLimit = 1,
            Resume = "auto", ModelDirectory = "elsewhere", Lora = then.Lora with { AddTokens = "elsewhere/tokens.txt" } };
        Assert.Empty(Drift.Between(then, NoFiles, now, NoFiles).Refused);
    }

    [Fact]
    public void Data_may_lie_elsewhere_but_not_be_mixed_otherwise()
    {
        var then = Options() with { Data = new DataOptions { Train = [new DataSource("a.jsonl", 1), new DataSource("b.jsonl", 0.5)] } };
        var moved = then with { Data = new DataOptions { Train = [new DataSource("x/a.jsonl", 1), new DataSource("x/b.jsonl", 0.5)] } };
        Assert.Empty(Drift.Between(then, NoFiles, moved, NoFiles).Refused);
        var mixed = then with { Data = new DataOptions { Train = [new DataSource("a.jsonl", 1), new DataSource("b.jsonl", 2)] } };
        Assert.StartsWith("--data", Assert.Single(Drift.Between(then, NoFiles, mixed, NoFiles).Refused), StringComparison.Ordinal);
    }

    [Fact]
    public void An_option_that_says_its_default_is_as_if_it_were_not_said()
    {
        var then = Options();
        var said = then with { DataSeed = then.Seed, Lora = then.Lora with { Alpha = 32, LoraPlusRatio = 1 } };
        Assert.Empty(Drift.Between(then, NoFiles, said, NoFiles).Refused);
        Assert.Empty(Drift.Between(then with { Quantize = Trainer.Models.QuantizeKind.None, Shuffle = false, DoubleQuant = false, GroupByLength = false },
            NoFiles, then with { Quantize = Trainer.Models.QuantizeKind.None, Shuffle = false }, NoFiles).Refused);
        Assert.Single(Drift.Between(then, NoFiles, then with { Lora = then.Lora with { Alpha = 16 } }, NoFiles).Refused);
    }

    [Fact]
    public void A_template_of_another_name_is_the_same_and_one_of_several_that_changed_is_named()
    {
        var one = NoFiles with { Template = new Dictionary<string, string> { ["chat_template.jinja"] = "aa" } };
        Assert.Empty(Drift.OfFiles(one, NoFiles with { Template = new Dictionary<string, string> { ["mine.jinja"] = "aa" } }));
        var two = NoFiles with { Template = new Dictionary<string, string> { ["chat_template.jinja"] = "aa",
            ["additional_chat_templates/tool_use.jinja"] = "bb" } };
        var changed = NoFiles with { Template = new Dictionary<string, string> { ["chat_template.jinja"] = "aa",
            ["additional_chat_templates/tool_use.jinja"] = "cc" } };
        Assert.Contains("tool_use.jinja", Assert.Single(Drift.OfFiles(two, changed)), StringComparison.Ordinal);
    }

    [Fact]
    public void Another_thread_count_is_a_warning()
    {
        var (refused, warned) = Drift.Between(Options(), NoFiles, Options() with { Threads = 3 }, NoFiles);
        Assert.Empty(refused);
        Assert.Contains("--threads", Assert.Single(warned), StringComparison.Ordinal);
    }

    [Fact]
    public void Every_option_is_either_free_of_the_computation_or_compared()
    {
        // An option that drift passes over must be on the list of those that change no number.
        string[] free = ["Model", "ModelDirectory", "OutputDirectory", "MaxSteps", "Epochs", "MaxTime", "LoggingSteps", "SaveSteps", "SaveStrategy",
            "SaveTotalLimit", "Distributed", "Resume", "AllowDrift",
            "OverwriteOutputDirectory", "AllowHighLoss", "EarlyStoppingPatience", "LoadBestModelAtEnd", "MaxMemoryBytes",
            "DeviceMemoryBytes", "StreamMicroBatches", "SamplePrompts", "SamplePromptsFile", "ReportTo", "Command",
            "OnFinish", "AdapterDirectory", "Data", "Lora", "Preference", "Grpo",
            "Threads", "Device", "Stream", "GradientCheckpointing"];
        foreach (var property in typeof(TrainingOptions).GetProperties(BindingFlags.Public | BindingFlags.Instance))
        {
            if (free.Contains(property.Name)) continue;
            var changed = Options();
            property.SetValue(changed, Another(property.GetValue(changed), property.PropertyType));
            Assert.True(Drift.Between(Options(), NoFiles, changed, NoFiles).Refused.Count == 1, $"{property.Name} is not compared");
        }
    }

    [Fact]
    public void A_run_is_refused_when_base_data_or_an_option_changed_and_goes_on_when_allowed()
    {
        using var run = Interrupted();
        var rows = run.Options.Data.Train[0].Path;
        run.Options = run.Options with { Resume = "auto", LearningRate = 5e-4 };
        var fault = Assert.Throws<DriftException>(() => run.Run());
        Assert.Contains("--learning-rate was 0.001 and is 0.0005", fault.Message, StringComparison.Ordinal);
        run.Options = run.Options with { LearningRate = 1e-3 };
        File.AppendAllText(rows, "{\"input_ids\":[1,2,3]}\n");
        Assert.Contains("the data's file", Assert.Throws<DriftException>(() => run.Run()).Message, StringComparison.Ordinal);
        run.Options = run.Options with { AllowDrift = true };
        run.Run();
        Assert.Contains(run.Seen.OfType<Noted>(), note => note.IsWarning && note.Text.Contains("--allow-drift", StringComparison.Ordinal));
    }

    [Fact]
    public void A_replaced_base_file_is_named()
    {
        using var run = Interrupted();
        var copy = run.Out("../model");
        Directory.CreateDirectory(copy);
        foreach (var file in Directory.GetFiles(run.Options.ModelDirectory)) File.Copy(file, Path.Combine(copy, Path.GetFileName(file)));
        run.Options = run.Options with { Resume = "auto", ModelDirectory = copy, MaxSteps = 10 };
        var shard = Path.Combine(copy, "model-00002-of-00004.safetensors");
        var bytes = File.ReadAllBytes(shard);
        bytes[^2] ^= 1;
        File.WriteAllBytes(shard, bytes);
        Assert.Contains("the base's file 'model-00002-of-00004.safetensors' has changed", Assert.Throws<DriftException>(() => run.Run()).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Two_writers_to_one_folder_are_refused()
    {
        using var run = Interrupted();
        using var held = RunLock.Acquire(run.Options.OutputDirectory);
        run.Options = run.Options with { Resume = "auto" };
        Assert.Contains("is writing there", Assert.Throws<CannotWriteException>(() => run.Run()).Message, StringComparison.Ordinal);
    }

    private static GoldenRun Interrupted()
    {
        var run = new GoldenRun("llama31_base", "llama31", 320, 1);
        using var source = new CancellationTokenSource();
        run.OnEvent = record =>
        {
            if (record is StepDone { Step: 2 }) source.Cancel();
        };
        Assert.Throws<RunInterruptedException>(() => run.Run(source.Token));
        run.OnEvent = null;
        return run;
    }

    private static TrainingOptions Options() => new() { Model = "m", ModelDirectory = "d", Data = new DataOptions(), OutputDirectory = "o" };

    private static object Another(object? value, Type type)
    {
        if (type == typeof(int?)) return 5;
        if (type == typeof(double?)) return 0.5;
        if (type == typeof(IReadOnlyDictionary<string, double>)) return new Dictionary<string, double> { ["x"] = 1 };
        if (type == typeof(IReadOnlyDictionary<string, string>)) return new Dictionary<string, string> { ["x"] = "1" };
        if (type == typeof(IReadOnlyList<string>)) return new[] { "x" };
        if (type == typeof(string)) return value + "x";
        if (type.IsEnum) return Enum.ToObject(type, (int)value! == 0 ? 1 : 0);
        return value switch
        {
            bool flag => !flag,
            int number => number + 1,
            double number => number + 0.25,
            _ => throw new InvalidOperationException($"teach the test about {type}"),
        };
    }
}
