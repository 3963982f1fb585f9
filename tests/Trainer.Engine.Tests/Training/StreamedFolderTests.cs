using Trainer.Checkpoints;
using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Training;
using Trainer.Training.Plan;

namespace Trainer.Engine.Tests.Training;

/// <summary>The 4-bit folder that is made for a base which is not quantized on disk.</summary>
public sealed class StreamedFolderTests : IDisposable
{
    private readonly string _cache = Directory.CreateTempSubdirectory("trainer-cache-").FullName;

    // Read by these tests alone.
    public StreamedFolderTests() => Environment.SetEnvironmentVariable("TRAINER_CACHE", _cache);

    [Fact]
    public void A_streamed_run_on_an_original_base_makes_its_4_bit_folder_once_and_trains_the_resident_runs_adapter()
    {
        using var resident = Streaming(Choice.Off);
        var expected = resident.Run().AdapterSha256;
        using var first = Streaming(Choice.On);
        Assert.Equal(expected, first.Run().AdapterSha256);
        Assert.Contains(first.Seen.OfType<PhaseProgressed>(), phase => phase.Phase == "quantizing to disk");
        Assert.Contains(first.Seen.OfType<Noted>(), note => note.Text.StartsWith("streaming: ", StringComparison.Ordinal));
        var made = Assert.Single(Directory.GetDirectories(Path.Combine(_cache, "nf4")));
        Assert.StartsWith("llama31-double-", Path.GetFileName(made), StringComparison.Ordinal);

        using var second = Streaming(Choice.On);
        Assert.Equal(expected, second.Run().AdapterSha256);
        Assert.DoesNotContain(second.Seen.OfType<PhaseProgressed>(), phase => phase.Phase == "quantizing to disk");
        Assert.Contains(second.Seen.OfType<Noted>(), note => note.Text.Contains(made, StringComparison.Ordinal));

        using var plain = Streaming(Choice.On);
        plain.Options = plain.Options with { DoubleQuant = false };
        Assert.NotEqual(expected, plain.Run().AdapterSha256);
        Assert.Equal(2, Directory.GetDirectories(Path.Combine(_cache, "nf4")).Length);
    }

    [Fact]
    public void A_making_that_was_broken_off_leaves_no_folder_and_the_same_command_goes_on()
    {
        using var run = Streaming(Choice.On);
        using var stop = new CancellationTokenSource();
        run.OnEvent = seen =>
        {
            if (seen is PhaseProgressed { Phase: "quantizing to disk" }) stop.Cancel();
        };
        Assert.Contains("same command", Assert.Throws<RunInterruptedException>(() => run.Run(stop.Token)).Message, StringComparison.Ordinal);
        Assert.Equal(".partial", Path.GetExtension(Assert.Single(Directory.GetDirectories(Path.Combine(_cache, "nf4")))));
        run.OnEvent = null;
        run.Run();
        Assert.NotEqual(".partial", Path.GetExtension(Assert.Single(Directory.GetDirectories(Path.Combine(_cache, "nf4")))));
    }

    [Fact]
    public void A_base_that_was_replaced_with_its_size_and_time_kept_never_meets_what_was_begun_of_the_old_one()
    {
        var model = Directory.CreateDirectory(Path.Combine(_cache, "model")).FullName;
        foreach (var file in Directory.GetFiles(Golden.Folder("llama31"))) File.Copy(file, Path.Combine(model, Path.GetFileName(file)));
        using (var run = Streaming(Choice.On))
        {
            run.Options = run.Options with { ModelDirectory = model };
            using var stop = new CancellationTokenSource();
            run.OnEvent = seen =>
            {
                if (seen is PhaseProgressed { Phase: "quantizing to disk" }) stop.Cancel();
            };
            Assert.Throws<RunInterruptedException>(() => run.Run(stop.Token));
        }
        foreach (var weights in Directory.GetFiles(model, "*.safetensors"))
        {
            var (bytes, time) = (File.ReadAllBytes(weights), File.GetLastWriteTimeUtc(weights));
            for (var at = bytes.Length / 2; at < bytes.Length; at += 4) BitConverter.TryWriteBytes(bytes.AsSpan(at), BitConverter.ToSingle(bytes, at) * 1.25f);
            File.WriteAllBytes(weights, bytes);
            File.SetLastWriteTimeUtc(weights, time);
        }
        string Adapter(Choice stream)
        {
            using var run = Streaming(stream);
            run.Options = run.Options with { ModelDirectory = model };
            return run.Run().AdapterSha256;
        }
        Assert.Equal(Adapter(Choice.Off), Adapter(Choice.On));
        Assert.Contains(Directory.GetDirectories(Path.Combine(_cache, "nf4")), path => path.EndsWith(".partial", StringComparison.Ordinal));
    }

    [Fact]
    public void A_made_folder_that_was_damaged_since_is_named_with_the_way_out()
    {
        using (var first = Streaming(Choice.On)) first.Run();
        var made = Assert.Single(Directory.GetDirectories(Path.Combine(_cache, "nf4")));
        using (var file = new FileStream(Path.Combine(made, "model.safetensors"), FileMode.Open)) file.SetLength(file.Length - 100);
        using var run = Streaming(Choice.On);
        Assert.Contains($"delete '{made}'", Assert.Throws<ModelException>(() => run.Run()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_plan_does_not_measure_what_a_run_would_first_have_to_make()
    {
        using var run = Streaming(Choice.On);
        Assert.Contains("made by the first run",
            Assert.Throws<ModelException>(() => PlanProbe.Measure(run.Options, RunPlanner.Plan(run.Options), null, [])).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""
        {"model_type": "gpt_oss", "vocab_size": 320, "hidden_size": 32, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
         "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 6, "max_position_embeddings": 128, "tie_word_embeddings": false, "torch_dtype": "float32"}
        """)]
    [InlineData("""
        {"model_type": "llama4_text", "vocab_size": 320, "hidden_size": 32, "intermediate_size": 24, "intermediate_size_mlp": 40, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
         "head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 1, "interleave_moe_layer_step": 2, "max_position_embeddings": 128, "tie_word_embeddings": false, "torch_dtype": "float32"}
        """)]
    public void Experts_in_one_tensor_are_trained_from_the_made_folder_stopped_and_resumed(string config)
    {
        var model = Directory.CreateDirectory(Path.Combine(_cache, "model")).FullName;
        RandomModel.Write(model, config, perExpert: false);
        GoldenRun Experts(Choice stream)
        {
            var run = Streaming(stream);
            run.Options = run.Options with { ModelDirectory = model, AdapterDirectory = null, LrScheduler = "constant", WarmupSteps = 0, MaxSteps = 4,
                SaveSteps = 2, AllowHighLoss = true, Lora = new LoraOptions { Rank = 2, TargetModules = ["q_proj"], TargetParameters = ["experts.gate_up_proj",
                    "experts.down_proj"] } };
            return run;
        }
        using var resident = Experts(Choice.Off);
        var expected = resident.Run().AdapterSha256;
        using var streamed = Experts(Choice.On);
        Assert.Equal(expected, streamed.Run().AdapterSha256);
        using var stopped = Experts(Choice.On);
        stopped.Options = stopped.Options with { MaxSteps = 2 };
        Assert.NotEqual(expected, stopped.Run().AdapterSha256);
        stopped.Options = stopped.Options with { MaxSteps = 4, Resume = "auto" };
        Assert.Equal(expected, stopped.Run().AdapterSha256);
    }

    [Fact]
    public void A_cache_that_cannot_be_written_is_named()
    {
        File.WriteAllText(Path.Combine(_cache, "nf4"), "a file in the way");
        using var run = Streaming(Choice.On);
        Assert.Contains("nf4", Assert.Throws<CannotWriteException>(() => run.Run()).Message, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_cache, recursive: true);

    private static GoldenRun Streaming(Choice stream)
    {
        var run = new GoldenRun("llama31_base", "llama31", 320, 1);
        run.Options = run.Options with { Stream = stream, Quantize = QuantizeKind.Nf4, MaxSteps = 2 };
        return run;
    }
}
