using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Training;
using Trainer.Training.Plan;
using Trainer.Training.Records;
using Trainer.Training.Steps;

namespace Trainer.Engine.Tests.Training;

/// <summary>The plan from config.json alone, and what it says when a run does not fit.</summary>
public class PlanTests
{
    [Fact]
    public void A_70B_is_planned_from_its_config_alone()
    {
        using var folder = new Config70B();
        var plan = RunPlanner.Plan(folder.Options with { MaxMemoryBytes = 64L << 30, MaxSteps = 5000 });
        Assert.Equal(70_553_706_496, plan.BaseParameters);
        // Four bits and a share of absmax for 68.451 B parameters, embedding and head in bf16: 36.8 GiB by hand.
        Assert.InRange(plan.Memory.Single(part => part.Name == "base (nf4)").Bytes / (double)(1L << 30), 36.6, 37.0);
        Assert.Equal(207_093_760, plan.TrainableParameters);
        Assert.True(plan.Fits, plan.Verdict);
        Assert.Equal(5000, plan.TotalSteps);
    }

    [Fact]
    public void A_run_that_does_not_fit_names_the_cheapest_changes()
    {
        using var folder = new Config70B();
        var plan = RunPlanner.Plan(folder.Options with { MaxMemoryBytes = 50L << 30, BatchSize = 8, Quantize = QuantizeKind.None });
        Assert.False(plan.Fits);
        Assert.Contains("--batch-size 1 --gradient-accumulation-steps 8", plan.Verdict, StringComparison.Ordinal);
        Assert.Contains(plan.Changes, change => change.Option == "--quantize nf4");
        Assert.InRange(plan.Changes.Count, 1, 3);
        var small = RunPlanner.Plan(folder.Options with { MaxMemoryBytes = 45L << 30, Quantize = QuantizeKind.None });
        Assert.Contains(small.Changes, change => change is { Option: "--quantize nf4", Suffices: true });
    }

    [Fact]
    public void Auto_checkpointing_recomputes_where_keeping_would_not_fit()
    {
        using var folder = new Config70B();
        Assert.True(RunPlanner.Plan(folder.Options with { MaxMemoryBytes = 64L << 30 }).GradientCheckpointing);
        var tiny = new TrainingOptions { Model = "llama31", ModelDirectory = Golden.Folder("llama31"), Data = new Trainer.Data.DataOptions(),
            OutputDirectory = "o" };
        Assert.False(RunPlanner.Plan(tiny).GradientCheckpointing);
    }

    [Theory, InlineData(false), InlineData(true)]
    public void Streaming_is_chosen_where_the_base_does_not_fit_resident_and_only_there(bool isQuantizedOnDisk)
    {
        using var folder = new Config70B();
        if (isQuantizedOnDisk) folder.Quantized();
        var small = folder.Options with { MaxMemoryBytes = 20L << 30, GradientCheckpointing = Checkpointing.On };
        var plan = RunPlanner.Plan(small);
        Assert.True(plan.Stream && plan.Fits, plan.Verdict);
        Assert.Equal(Choice.On, RunPlanner.Settle(small, plan).Stream);
        Assert.False(RunPlanner.Plan(small with { MaxMemoryBytes = 64L << 30 }).Stream);
        var off = RunPlanner.Plan(small with { Stream = Choice.Off });
        Assert.False(off.Fits || off.Stream);
        Assert.Contains(off.Changes, change => change is { Option: "--stream on", Suffices: true });
        // Held in 8 bits there is nothing on disk to read as it is used.
        if (!isQuantizedOnDisk) Assert.False(RunPlanner.Plan(small with { Quantize = QuantizeKind.Int8 }).Stream);
    }

    [Fact]
    public void The_memory_given_sizes_what_stays_of_a_streamed_base_and_too_little_is_refused_with_numbers()
    {
        using var folder = new Config70B();
        folder.Quantized();
        RunPlan Plan(long? gib)
            => RunPlanner.Plan(folder.Options with { Stream = Choice.On, MaxMemoryBytes = gib << 30, GradientCheckpointing = Checkpointing.On });
        var (least, ten, twenty) = (Plan(null), Plan(10), Plan(20));
        Assert.Null(least.StreamBytes);
        long Base(RunPlan plan) => plan.Memory.Single(part => part.Name == "base (nf4, streamed)").Bytes;
        // Two layers of 441 MB and the embedding's rows.
        Assert.InRange(Base(least), 880L << 20, 960L << 20);
        Assert.InRange(ten.PeakBytes / (double)(1L << 30), 8.5, 9.3);
        Assert.InRange(twenty.PeakBytes / (double)(1L << 30), 18, 18.6);
        Assert.True(Base(twenty) > Base(ten) + (8L << 30));
        var refused = Plan(4);
        Assert.False(refused.Fits);
        Assert.Contains("4.0 GiB are allowed (with ", refused.Verdict, StringComparison.Ordinal);
        Assert.Contains("smallest window of the streamed base", refused.Verdict, StringComparison.Ordinal);
    }

    [Fact]
    public void What_the_base_on_disk_contradicts_is_refused_where_it_is_streamed()
    {
        using var folder = new Config70B();
        var on = folder.Options with { Stream = Choice.On };
        Assert.Contains("--quantize int8 --stream on", Assert.Throws<OptionException>(() => RunPlanner.Plan(on with { Quantize = QuantizeKind.Int8 })).Message,
            StringComparison.Ordinal);
        folder.Quantized();
        Assert.Contains("--quantize none --stream on", Assert.Throws<OptionException>(() => RunPlanner.Plan(on with { Quantize = QuantizeKind.None })).Message,
            StringComparison.Ordinal);
        Assert.Contains("--double-quant false --stream on", Assert.Throws<OptionException>(() => RunPlanner.Plan(on with { DoubleQuant = false })).Message,
            StringComparison.Ordinal);
        Assert.True(RunPlanner.Plan(on).Stream);
    }

    [Fact]
    public void Ranks_on_one_machine_divide_its_memory_and_hold_a_stored_base_once()
    {
        using var folder = new Config70B();
        folder.Quantized();
        var options = folder.Options with { Stream = Choice.Off, GradientCheckpointing = Checkpointing.On };
        RunPlan Plan(long gib, int ranks) => RunPlanner.Plan(options, share: new MemoryShare(gib << 30, ranks));
        var alone = Plan(128, 1);
        var four = Plan(128, 4);
        Assert.True(alone.Fits && four.Fits, four.Verdict);
        Assert.Equal(alone.PeakBytes, four.PeakBytes);
        // The base is there once: 36.8 GiB, and the rest four times.
        Assert.InRange(four.SharedBytes / (double)(1L << 30), 36.4, 37);
        Assert.Equal(four.SharedBytes + 4 * (alone.PeakBytes - four.SharedBytes), four.MachinePeakBytes);
        Assert.Equal(four.MachinePeakBytes <= 128L << 30, four.Fits);
        // One rank fits what four do not, and the message says whose memory it is.
        var own = alone.PeakBytes - alone.SharedBytes;
        var tight = (alone.SharedBytes + 2 * own) >> 30;
        Assert.True(Plan(tight, 1).Fits);
        var refused = Plan(tight, 4);
        Assert.False(refused.Fits);
        Assert.Contains("each of 4 ranks on a machine needs", refused.Verdict, StringComparison.Ordinal);
        // Quantized while it loads, each rank has a base of its own.
        using var dense = new Config70B();
        var copies = RunPlanner.Plan(dense.Options with { Stream = Choice.Off }, share: new MemoryShare(64L << 30, 2));
        Assert.False(copies.Fits);
        Assert.InRange(copies.SharedBytes / (double)(1L << 30), 1, 5);
    }

    [Fact]
    public void All_ranks_plan_by_the_smallest_share_of_any()
    {
        var shares = new MemoryShare[3];
        Assert.All(ThreadRanks.Run(3, ranks => shares[ranks.Rank] = MemoryShare.Least(ranks)), Assert.Null);
        Assert.All(shares, share => Assert.Equal(new MemoryShare(Trainer.Numerics.Machine.MachineLimits.MemoryBytes, 3), share));
    }

    [Theory]
    [InlineData("llama31")]
    [InlineData("qwen2")]
    [InlineData("phi3")]
    public void Parameters_by_config_are_those_of_the_loaded_model(string name)
    {
        var options = new TrainingOptions
        {
            Model = name, ModelDirectory = Golden.Folder(name), Data = new Trainer.Data.DataOptions(), OutputDirectory = "o", Quantize = QuantizeKind.None,
            Lora = new LoraOptions { Rank = 4 },
        };
        using var model = AdaptedModel.Load(options, new Events([]));
        var plan = RunPlanner.Plan(options);
        Assert.Equal(model.Parameters.Count, plan.TrainableParameters);
        Assert.Equal(model.TotalParameters, plan.BaseParameters + plan.TrainableParameters);
    }

    [Fact]
    public void A_run_beyond_its_memory_limit_is_refused_before_anything_is_loaded()
    {
        using var run = new GoldenRun("llama31_base", "llama31", 320, 1);
        run.Options = run.Options with { MaxMemoryBytes = 100 << 20 };
        var fault = Assert.Throws<PlanRefusedException>(() => run.Run());
        Assert.Contains("100 MiB are allowed", fault.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(run.Seen.OfType<PhaseProgressed>(), phase => phase.Phase == "loading");
    }

    private sealed class Config70B : IDisposable
    {
        private readonly string _folder = Directory.CreateTempSubdirectory("plan-").FullName;

        public Config70B() => File.WriteAllText(Path.Combine(_folder, "config.json"), """
            {"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":8192,"intermediate_size":28672,"num_hidden_layers":80,"num_attention_heads":64,
             "num_key_value_heads":8,"vocab_size":128256,"rms_norm_eps":1e-05,"rope_theta":500000.0,"max_position_embeddings":131072,"hidden_act":"silu",
             "tie_word_embeddings":false,"torch_dtype":"bfloat16","bos_token_id":128000,"eos_token_id":128039,"attention_bias":false}
            """);

        public void Quantized()
        {
            var path = Path.Combine(_folder, "config.json");
            File.WriteAllText(path, File.ReadAllText(path).TrimEnd().TrimEnd('}')
                + ""","quantization_config":{"quant_method":"bitsandbytes","load_in_4bit":true,"bnb_4bit_quant_type":"nf4","bnb_4bit_use_double_quant":true}}""");
        }

        public TrainingOptions Options => new()
        {
            Model = "70b", ModelDirectory = _folder, Data = new Trainer.Data.DataOptions { MaxSeqLength = 1024 }, OutputDirectory = _folder, BatchSize = 1,
            Lora = new LoraOptions { Rank = 16 },
        };

        public void Dispose() => Directory.Delete(_folder, recursive: true);
    }
}
