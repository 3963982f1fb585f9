using TorchSharp;
using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Numerics.Machine;
using Trainer.Training;

namespace Trainer.Engine.Tests.Training;

/// <summary>Memory stays flat, evaluation is what the loss says, a finished run can be made again.</summary>
[Trait("ring", "model")]
public class LongRunTests
{
    [Fact]
    public void Live_tensors_and_memory_are_flat_over_300_steps_with_evaluation_and_saving()
    {
        var steps = int.TryParse(Environment.GetEnvironmentVariable("TRAINER_FLAT_STEPS"), out var asked) ? asked : 300;
        using var run = new GoldenRun("llama31_base", "llama31", 320, 1);
        run.Options = run.Options with
        {
            MaxSteps = steps, SaveSteps = 50, EvalSteps = 25, Epochs = 1, LearningRate = 1e-5, SaveTotalLimit = 2, Quantize = QuantizeKind.Nf4,
            Data = run.Options.Data with { EvalSplit = 4 }, Lora = run.Options.Lora with { Dropout = 0.05 },
        };
        var tensors = new List<(int Step, long Count)>();
        var memory = new List<(int Step, long Bytes)>();
        run.OnEvent = record =>
        {
            if (record is not StepDone { Step: var step } || step % 10 != 0) return;
            tensors.Add((step, torch.Tensor.TotalCount));
            memory.Add((step, SystemMemory.Anonymous));
        };
        run.Run();
        var warm = steps / 3;
        var early = tensors.Where(sample => sample.Step <= warm).Max(sample => sample.Count);
        Assert.All(tensors.Where(sample => sample.Step > warm),
            sample => Assert.True(sample.Count <= early, $"{sample.Count} tensors at step {sample.Step}, at most {early} before"));
        var floor = memory.Where(sample => sample.Step > warm && sample.Step <= 2 * warm).Min(sample => sample.Bytes);
        var later = memory.Where(sample => sample.Step > 2 * warm).Min(sample => sample.Bytes);
        Assert.True(later < floor + (24 << 20), $"memory grew from {floor} to {later} bytes");
    }

    [Fact]
    public void An_evaluation_gives_the_loss_of_the_reference_by_row_and_by_token()
    {
        using var run = new GoldenRun("llama31_base", "llama31", 320, 1);
        var result = Evaluation.Run(run.Options, perRow: true, perToken: true, [run], CancellationToken.None);
        var first = result.Rows.Take(2).ToList();
        // The trajectory's first step evaluates the first two rows with the initial adapter.
        var expected = Golden.Expected(Golden.Folder("lora", "llama31_base")).GetProperty("traj").GetProperty("losses")[0].GetDouble();
        Assert.Equal(expected, first.Sum(row => row.Loss * row.TrainedTokens) / first.Sum(row => row.TrainedTokens), 1e-5);
        Assert.Equal(result.Loss, result.Rows.Sum(row => row.Loss * row.TrainedTokens) / result.TrainedTokens, 1e-6);
        Assert.All(result.Rows, row => Assert.Equal(row.Loss, row.TokenLosses!.Where(loss => loss is not null).Average(loss => (double)loss!), 1e-5));
        Assert.Equal(Math.Exp(result.Loss), result.Perplexity);
        var bare = Evaluation.Run(run.Options with { AdapterDirectory = null }, perRow: false, perToken: false, [run], CancellationToken.None);
        Assert.NotEqual(result.Loss, bare.Loss, 1e-3);
        Assert.Empty(bare.Rows);
    }

    [Fact]
    public void A_finished_run_is_made_again_from_its_record_with_the_same_bytes()
    {
        using var run = new GoldenRun("llama31_base", "llama31", 320, 2);
        run.Run();
        var again = Reproduce.Run(run.Out("run.json"), run.Out("../again"), [], CancellationToken.None);
        Assert.True(again.IsSame, string.Join("; ", again.Differences));
        Assert.Empty(again.Differences);
        File.AppendAllText(run.Options.Data.Train[0].Path, "{\"input_ids\":[5,6,7,8]}\n");
        var other = Reproduce.Run(run.Options.OutputDirectory, run.Out("../other"), [], CancellationToken.None);
        Assert.Contains(other.Differences, text => text.StartsWith("the data's file", StringComparison.Ordinal));
    }

    [Fact]
    public void A_fresh_adapter_trains_and_its_B_leaves_zero()
    {
        using var run = new GoldenRun("llama31_base", "llama31", 320, 1);
        run.Options = run.Options with { AdapterDirectory = null, AllowHighLoss = true, Lora = new LoraOptions { Rank = 4 }, MaxSteps = 6, WarmupSteps = 0,
            LearningRate = 1e-2, Shuffle = true };
        run.Run();
        Assert.DoesNotContain(run.Seen.OfType<Noted>(), note => note.Text.Contains("still zero", StringComparison.Ordinal));
        run.Options = run.Options with { OutputDirectory = run.Out("../refused"), AllowHighLoss = false };
        Assert.Contains("0.9 ln(320)", Assert.Throws<ImplausibleLossException>(() => run.Run()).Message, StringComparison.Ordinal);
    }
}
