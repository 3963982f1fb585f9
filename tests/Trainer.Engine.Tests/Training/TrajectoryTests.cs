using System.Runtime.InteropServices;
using Trainer.Checkpoints.Runs;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Tests.Models;
using Trainer.Training;

namespace Trainer.Engine.Tests.Training;

/// <summary>Ten steps through the whole run equal those of transformers and PEFT with torch's AdamW: losses, norms before clipping, rates, adapter.</summary>
[Trait("ring", "model")]
public class TrajectoryTests
{
    [Theory]
    [InlineData("llama31_base", "llama31", 320, 1, "traj")]
    [InlineData("llama31_base", "llama31", 320, 2, "traj_accum2_tokens")]
    [InlineData("qwen2_base", "qwen2", 300, 1, "traj")]
    [InlineData("qwen2_base", "qwen2", 300, 2, "traj_accum2_tokens")]
    [InlineData("gemma2_all_linear", "gemma2", 256, 1, "traj")]
    [InlineData("llama31_dora", "llama31", 320, 1, "traj")]
    [InlineData("llama31_modules_to_save", "llama31", 320, 1, "traj")]
    public void A_run_reproduces_the_reference_trajectory(string adapter, string model, int vocabulary, int accumulation, string trajectory)
    {
        using var run = new GoldenRun(adapter, model, vocabulary, accumulation);
        run.Run();
        var expected = Golden.Expected(Golden.Folder("lora", adapter)).GetProperty(trajectory);
        var rows = run.Metrics;
        Assert.Equal(10, rows.Count);
        for (var step = 0; step < 10; step++)
        {
            Assert.Equal(expected.GetProperty("losses")[step].GetDouble(), rows[step].GetProperty("loss").GetDouble(), Golden.TrajectoryGate);
            Assert.Equal(expected.GetProperty("grad_norms")[step].GetDouble(), rows[step].GetProperty("grad_norm").GetDouble(), 1e-3);
            Assert.Equal(expected.GetProperty("lrs")[step].GetDouble(), rows[step].GetProperty("learning_rate").GetDouble(), 1e-15);
        }
        if (accumulation == 1)
            Assert.True(LargestDifference(run.Out("adapter_model.safetensors"),
                Golden.Folder("lora", adapter, "adapter_final", "adapter_model.safetensors")) < 1e-5);
    }

    [Fact]
    public void The_mean_of_micro_batch_means_would_be_another_trajectory()
    {
        using var run = new GoldenRun("llama31_base", "llama31", 320, 2);
        run.Run();
        var mean = Golden.Expected(Golden.Folder("lora", "llama31_base")).GetProperty("traj_accum2_mean").GetProperty("losses");
        Assert.Contains(Enumerable.Range(0, 10), step => Math.Abs(mean[step].GetDouble() - run.Metrics[step].GetProperty("loss").GetDouble()) > 1e-3);
    }

    [Fact]
    public void One_batch_of_eight_equals_eight_batches_of_one()
    {
        using var wide = new GoldenRun("llama31_base", "llama31", 320, 1);
        wide.Options = wide.Options with { BatchSize = 8, GradientAccumulationSteps = 1, MaxSteps = 5 };
        wide.Run();
        using var narrow = new GoldenRun("llama31_base", "llama31", 320, 1);
        narrow.Options = narrow.Options with { BatchSize = 1, GradientAccumulationSteps = 8, MaxSteps = 5 };
        narrow.Run();
        for (var step = 0; step < 5; step++)
            Assert.Equal(wide.Metrics[step].GetProperty("loss").GetDouble(), narrow.Metrics[step].GetProperty("loss").GetDouble(), 1e-5);
        Assert.True(LargestDifference(wide.Out("adapter_model.safetensors"), narrow.Out("adapter_model.safetensors")) < 1e-5);
    }

    [Fact]
    public void The_same_run_twice_gives_the_same_bytes()
    {
        using var first = new GoldenRun("llama31_base", "llama31", 320, 2);
        using var second = new GoldenRun("llama31_base", "llama31", 320, 2);
        Assert.Equal(first.Run().AdapterSha256, second.Run().AdapterSha256);
    }

    [Fact]
    public void A_real_model_with_dropout_stopped_and_resumed_gives_the_bytes_of_one_that_never_stopped()
    {
        using var whole = new GoldenRun("llama31_base", "llama31", 320, 2);
        whole.Options = whole.Options with { Lora = whole.Options.Lora with { Dropout = 0.1 } };
        var expected = whole.Run().AdapterSha256;
        using var run = new GoldenRun("llama31_base", "llama31", 320, 2);
        run.Options = run.Options with { Lora = whole.Options.Lora };
        using var source = new CancellationTokenSource();
        run.OnEvent = record =>
        {
            if (record is StepDone { Step: 6 }) source.Cancel();
        };
        Assert.Throws<RunInterruptedException>(() => run.Run(source.Token));
        run.OnEvent = null;
        run.Options = run.Options with { Resume = "auto" };
        Assert.Equal(expected, run.Run().AdapterSha256);
        Assert.Equal(6, run.Seen.OfType<RunStarted>().Last().FirstStep);
    }

    [Fact]
    public void The_run_folder_holds_what_the_adapter_was_made_of()
    {
        using var run = new GoldenRun("llama31_base", "llama31", 320, 1);
        run.Run();
        using var json = System.Text.Json.JsonDocument.Parse(File.ReadAllBytes(run.Out("run.json")));
        Assert.Equal(5,
            json.RootElement.GetProperty("files").GetProperty("base").EnumerateObject()
            .Count(file => file.Name.EndsWith(".safetensors", StringComparison.Ordinal)) + 1);
        Assert.Equal(64, json.RootElement.GetProperty("base_sha256").GetString()!.Length);
        Assert.Equal(40, json.RootElement.GetProperty("data").GetProperty("rows").GetInt32());
        Assert.Equal(FileDigest.Sha256(run.Out("adapter_model.safetensors")),
            json.RootElement.GetProperty("outcome").GetProperty("adapter_sha256").GetString());
        Assert.Contains("base_model: llama31", File.ReadAllText(run.Out("README.md")), StringComparison.Ordinal);
        Assert.Contains(run.Seen.OfType<Noted>(), note => note.Text.Contains("same bits", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("llama31_dora", "llama31", 320, null)]
    [InlineData("gemma3_embedding", "gemma3", 256, "no adapter on the embedding")]
    public void What_the_fast_engine_cannot_compute_is_said_with_its_reason_and_its_price(string adapter, string model, int vocabulary, string? reason)
    {
        using var run = new GoldenRun(adapter, model, vocabulary, 1);
        run.Options = run.Options with { MaxSteps = 1 };
        run.Run();
        var said = run.Seen.OfType<Noted>().Where(note => note.Text.Contains("reference engine", StringComparison.Ordinal)).ToList();
        if (reason is null) Assert.Empty(said);
        else
            Assert.Contains(reason, Assert.Single(said,
                note => note.IsWarning && note.Text.Contains("slower and in more memory", StringComparison.Ordinal)).Text, StringComparison.Ordinal);
    }

    private static double LargestDifference(string a, string b)
    {
        using var first = SafetensorsFile.Open(a);
        using var second = SafetensorsFile.Open(b);
        Assert.Equal(first.Entries.Count, second.Entries.Count);
        return first.Entries.Max(entry => Golden.LargestDifference(
            MemoryMarshal.Cast<byte, float>(first.Bytes(entry)), MemoryMarshal.Cast<byte, float>(second.Bytes(second.Entry(entry.Name)))));
    }
}
