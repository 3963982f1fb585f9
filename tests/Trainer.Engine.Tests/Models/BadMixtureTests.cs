using Trainer.Adapters;
using Trainer.Models;
using Trainer.Models.Drawing;
using Trainer.Models.Families;
using Trainer.Models.Lora;

namespace Trainer.Engine.Tests.Models;

/// <summary>Mixtures whose config and tensors disagree, and routers that leave an expert alone.</summary>
[Trait("ring", "model")]
public sealed class BadMixtureTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("bad-mixture-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("\"num_experts\": 5", "\"num_experts\": 4", true, "tensor 'model.layers.0.mlp.gate.weight'")]
    [InlineData("\"num_experts\": 5", "\"num_experts\": 6", true, "tensor 'model.layers.0.mlp.gate.weight'")]
    [InlineData("\"num_experts\": 5", "\"num_experts\": 6", false, "tensor 'model.layers.0.mlp.gate.weight'")]
    [InlineData("\"num_experts_per_tok\": 2", "\"num_experts_per_tok\": 6", true, "'num_experts_per_tok' is 6, the model has 5 experts")]
    [InlineData("\"num_experts_per_tok\": 2", "\"num_experts_per_tok\": 0", true, "'num_experts_per_tok' is 0")]
    [InlineData("\"moe_intermediate_size\": 24", "\"moe_intermediate_size\": 16", true, "tensor 'model.layers.0.mlp.experts.0.gate_proj.weight'")]
    [InlineData("\"moe_intermediate_size\": 24", "\"moe_intermediate_size\": 16", false, "tensor 'model.layers.0.mlp.experts.gate_up_proj")]
    [InlineData("\"norm_topk_prob\": true", "\"mlp_only_layers\": [0]", true, "tensor 'model.layers.0.mlp.gate_proj.weight' is missing")]
    [InlineData("\"norm_topk_prob\": true", "\"mlp_only_layers\": [2]", true, "'mlp_only_layers' names layer 2 of 2")]
    [InlineData("\"norm_topk_prob\": true", "\"decoder_sparse_step\": 0", true, "'decoder_sparse_step' is 0")]
    [InlineData("\"norm_topk_prob\": true", "\"router_aux_loss_coef\": -1, \"output_router_logits\": true", true, "'router_aux_loss_coef' is -1")]
    public void Config_and_tensors_that_disagree_are_refused_by_key_or_tensor(string was, string becomes, bool perExpert, string named)
    {
        RandomModel.Write(_folder, RandomModel.Mixture, perExpert);
        File.WriteAllText(Path.Combine(_folder, "config.json"), RandomModel.Mixture.Replace(was, becomes, StringComparison.Ordinal));
        var fault = Assert.Throws<ModelException>(() => Load().Dispose()).Message;
        Assert.Contains(named, fault, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', fault);
    }

    [Theory]
    [InlineData("\"layer_types\": [\"full_attention\", \"full_attention\"]", "tensor 'model.layers.0.self_attn.")]
    [InlineData("\"layer_types\": [\"linear_attention\"]", "layer_types")]
    [InlineData("\"layer_types\": [\"linear_attention\", \"sparse_attention\"]", "layer_types")]
    public void Layer_types_that_the_tensors_do_not_have_are_refused(string types, string named)
    {
        const string Config = """
            {"model_type": "qwen3_5_text", "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16,
             "linear_num_key_heads": 2, "linear_num_value_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8, "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "layer_types": ["linear_attention", "full_attention"]}
            """;
        RandomModel.Write(_folder, Config);
        Load().Dispose();
        File.WriteAllText(Path.Combine(_folder, "config.json"),
            Config.Replace("\"layer_types\": [\"linear_attention\", \"full_attention\"]", types, StringComparison.Ordinal));
        Assert.Contains(named, Assert.Throws<ModelException>(() => Load().Dispose()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_expert_without_tokens_trains_nothing_and_breaks_nothing()
    {
        RandomModel.Write(_folder, RandomModel.Mixture);
        using var model = Load();
        AdapterInjector.Inject(model, new LoraSpec { Rank = 2, Alpha = 4, Targets = TargetModules.OfNames(["q_proj"]),
            TargetParameters = ["experts.down_proj"] }, 1);
        // One token reaches two of five experts.
        var batch = new TokenBatch([7, 7], [7, TokenBatch.IgnoredTarget], [0, 1], [0, 2], [1f]);
        var result = model.ForwardBackward(batch, 1);
        Assert.True(double.IsFinite(result.LossSum));
        var gradient = model.Parameters.Entries.Where(tensor => tensor.Name.EndsWith("experts.lora_B.weight", StringComparison.Ordinal))
            .Select(tensor => model.Parameters.GradientsOf(tensor).ToArray()).ToList();
        Assert.NotEmpty(gradient);
        Assert.All(gradient, values =>
        {
            // Column j x experts + e of B is expert e's.
            var reached = Enumerable.Range(0, 5).Count(expert => Enumerable.Range(0, values.Length / 5).Any(row => values[row * 5 + expert] != 0));
            Assert.InRange(reached, 1, 4);
        });
    }

    [Fact]
    public void Trained_shares_are_told_by_kind_and_add_up()
    {
        RandomModel.Write(_folder, RandomModel.Mixture);
        var decoder = DecoderBlueprint.Of(ConfigLoader.Load(_folder));
        var attention = TrainedShare.Of(AdapterBlueprint.Fresh(decoder, new LoraSpec { Rank = 2, Alpha = 4, Targets = TargetModules.AllLinear }));
        Assert.Equal(0, attention.Single(share => share.Kind == "experts").Trained);
        Assert.True(attention.Single(share => share.Kind == "attention").Trained > 0);
        var adapter = AdapterBlueprint.Fresh(decoder,
            new LoraSpec { Rank = 2, Alpha = 4, Targets = TargetModules.OfNames(["q_proj"]), TargetParameters = ["experts.down_proj"] });
        var shares = TrainedShare.Of(adapter);
        Assert.Equal(2 * 5 * 2 * (24 + 32), shares.Single(share => share.Kind == "experts").Trained);
        Assert.Equal(adapter.ParameterCount, shares.Sum(share => share.Trained));
        Assert.Equal(decoder.ParameterCount, shares.Sum(share => share.Total));
    }

    private CausalModel Load() => CausalModel.Load(_folder,
        new ModelLoadOptions { Quantize = QuantizeKind.None, Compute = ComputeKind.Float32, Engine = EngineKind.Reference });
}
