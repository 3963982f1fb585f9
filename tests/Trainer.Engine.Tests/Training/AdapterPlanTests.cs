using Trainer.Adapters;
using Trainer.Engine.Layers.Dense;
using Trainer.Engine.Tests.Models;
using Trainer.Models.Lora;
using Trainer.Training;
using Trainer.Training.Plan;

namespace Trainer.Engine.Tests.Training;

/// <summary>What a plan says of the adapter is what injection would make of it.</summary>
public sealed class AdapterPlanTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("plan-").FullName;

    public AdapterPlanTests() => File.WriteAllText(Path.Combine(_folder, "config.json"), """
        {"model_type":"llama","hidden_size":4096,"intermediate_size":14336,"num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,"vocab_size":128256,
         "rms_norm_eps":1e-05,"rope_theta":500000.0,"max_position_embeddings":131072,"hidden_act":"silu","tie_word_embeddings":false,"torch_dtype":"bfloat16"}
        """);

    private TrainingOptions Options(LoraOptions lora) => new()
    {
        Model = "8b", ModelDirectory = _folder, Data = new Trainer.Data.DataOptions { MaxSeqLength = 2048 }, OutputDirectory = _folder, BatchSize = 1,
        MaxMemoryBytes = 16L << 30, Lora = lora,
    };

    [Fact]
    public void Saved_modules_of_any_kind_are_counted()
    {
        var plan = RunPlanner.Plan(Options(new LoraOptions { TargetModules = ["v_proj"], ModulesToSave = ["q_proj"] }));
        Assert.Equal(32L * (16 * (4096 + 1024) + 4096 * 4096), plan.TrainableParameters);
        Assert.Equal(32L * 16 * (4096 + 1024) + 65L * 4096,
            RunPlanner.Plan(Options(new LoraOptions { TargetModules = ["v_proj"], ModulesToSave = ["norm"] })).TrainableParameters);
    }

    [Theory]
    [InlineData("q_proj", 8, "self_attn.q_proj", 64, 8)]
    [InlineData("self_attn.q_proj", 64, "q_proj", 8, 64)]
    public void The_first_pattern_of_ranks_that_matches_counts_as_in_PEFT(string first, int firstRank, string second, int secondRank, int rank)
    {
        var lora = new LoraOptions { TargetModules = ["q_proj"], RankPattern = new Dictionary<string, int> { [first] = firstRank, [second] = secondRank } };
        Assert.Equal(32L * rank * (4096 + 4096), RunPlanner.Plan(Options(lora)).TrainableParameters);
    }

    [Fact]
    public void Only_layers_above_the_lowest_trained_one_keep_anything()
    {
        var plan = RunPlanner.Plan(Options(new LoraOptions { Layers = 4 }) with { GradientCheckpointing = Checkpointing.None });
        Assert.True(plan.Fits, plan.Verdict);
        Assert.InRange(plan.PeakBytes / (double)(1L << 30), 7, 9.5);
        var all = RunPlanner.Plan(Options(new LoraOptions()) with { GradientCheckpointing = Checkpointing.None, MaxMemoryBytes = 64L << 30 });
        long Activations(RunPlan of) => of.Memory.Single(part => part.Name == "all layers' activations").Bytes;
        // Four layers with a state of their own, and one for all below.
        Assert.InRange(Activations(all) / (double)Activations(plan), 32 / 5.2, 32 / 4.8);
    }

    [Fact]
    public void What_the_reference_engine_computes_is_planned_as_such()
    {
        var plan = RunPlanner.Plan(Options(new LoraOptions { TargetModules = ["embed_tokens"] }) with { MaxMemoryBytes = 64L << 30 });
        Assert.Contains(plan.Memory, part => part.Name == "activations (reference engine, estimated)");
        Assert.Empty(plan.Buffers);
    }

    [Fact]
    public void The_experts_of_a_base_are_counted()
    {
        File.WriteAllText(Path.Combine(_folder, "config.json"), """
            {"model_type":"mixtral","hidden_size":4096,"intermediate_size":14336,"num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,"vocab_size":32000,
             "num_local_experts":8,"num_experts_per_tok":2,"rms_norm_eps":1e-05,"rope_theta":1000000.0,"max_position_embeddings":32768,"hidden_act":"silu",
             "sliding_window":null,"tie_word_embeddings":false,"torch_dtype":"bfloat16"}
            """);
        var plan = RunPlanner.Plan(Options(new LoraOptions { TargetModules = ["q_proj"] }) with { MaxMemoryBytes = 64L << 30 });
        Assert.Equal(46_702_792_704, plan.BaseParameters);
        // Half a byte and a 64th and a bit for each, two bytes for the tables' 262 million.
        Assert.InRange(plan.Memory.Single(part => part.Name == "base (nf4)").Bytes / (double)(1L << 30), 22.4, 23.2);
    }

    [Fact]
    public void A_pattern_that_backtracks_for_ever_is_refused_by_the_plan_too()
    {
        var fault = Assert.Throws<AdapterOptionException>(() => RunPlanner.Plan(Options(new LoraOptions { TargetModules = ["(([a-z_.0-9])+)+!"] })));
        Assert.Contains("takes more than a second", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_injection_refuses_the_plan_refuses_with_the_same_words()
    {
        foreach (var lora in (LoraOptions[])[new() { TargetModules = ["nothing"] }, new() { TargetModules = ["q_proj", "x_proj"] },
            new() { TargetModules = ["input_layernorm"] }, new() { Rank = 0 }, new() { ModulesToSave = ["nothing"] }])
        {
            using var model = CausalModel.Load(Golden.Folder("llama31"));
            var options = Options(lora) with { ModelDirectory = Golden.Folder("llama31") };
            var told = Assert.Throws<AdapterOptionException>(() => AdapterInjector.Inject(model, RunAdapter.SpecOf(lora, model.Config.LayerCount), 1)).Message;
            Assert.Equal(told, Assert.Throws<AdapterOptionException>(() => RunPlanner.Plan(options)).Message);
        }
    }

    [Fact]
    public void A_run_that_goes_on_with_an_adapter_is_planned_with_that_adapters_shape()
    {
        var spec = new LoraSpec { Rank = 3, Targets = TargetModules.OfNames(["q_proj", "down_proj"]), UseDora = true, ModulesToSave = ["model.norm"] };
        using var model = CausalModel.Load(Golden.Folder("llama31"));
        AdapterInjector.Inject(model, spec, 1);
        PeftFolder.Save(_folder, model, spec, "base");
        var options = Options(new LoraOptions()) with { ModelDirectory = Golden.Folder("llama31"), AdapterDirectory = _folder };
        Assert.Equal(model.Parameters.ParameterCount, RunPlanner.Plan(options).TrainableParameters);
        var other = Assert.Throws<AdapterException>(() => RunPlanner.Plan(options with { ModelDirectory = Golden.Folder("qwen3") }));
        Assert.Contains("the model needs", other.Message, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
