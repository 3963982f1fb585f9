using Trainer.Adapters;
using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Models.Lora;

namespace Trainer.Engine.Tests.Fast;

/// <summary>Token mixers other than attention by hand against the reference engine, over the processor's kernels and over libtorch's operations.</summary>
[Trait("ring", "model")]
public sealed class FastMixerTests : IDisposable
{
    private readonly string _temp = Directory.CreateTempSubdirectory("fast-mixer-").FullName;

    public static TheoryData<string> Families => new(Configs.Keys);

    private static Dictionary<string, string> Configs { get; } = new()
    {
        ["convolution"] = Lfm2("conv", 3, bias: false),
        // The last layer, whose rows without loss fall away, is a convolution; rows shorter than the taps are in every batch.
        ["delta"] = Delta("qwen3_5_text", "linear_attention", "\"intermediate_size\": 48"),
        ["delta packed, with experts"] = Delta("qwen3_next", "full_attention",
            "\"intermediate_size\": 48, \"moe_intermediate_size\": 24, \"shared_expert_intermediate_size\": 40, \"num_experts\": 5, \"num_experts_per_tok\": "
            + "2, \"mlp_only_layers\": [1]"),
        ["convolution last"] = Lfm2("full_attention", 4, bias: true),
    };

    public void Dispose() => Directory.Delete(_temp, recursive: true);

    [Theory, MemberData(nameof(Families))]
    public void Every_gradient_equals_the_reference_engines(string name)
    {
        RandomModel.Write(_temp, Configs[name], perExpert: false);
        foreach (var (dora, recompute, everyRow) in ((bool, bool, bool)[])[(false, true, false), (false, false, true), (true, false, false),
            (false, false, false)])
        {
            // Some rows are longer than a chunk of the delta rule, and end inside one.
            int[] lengths = [150, 5, 64, 33, 1];
            var expected = FastRun.Step(_temp, EngineKind.Reference, recompute, everyRow, model => Inject(model, dora, everyRow), lengths: lengths);
            Assert.All(expected.Gradients, pair => Assert.True(pair.Value.Max(Math.Abs) > 0,
                $"{pair.Key} has no gradient, so the comparison would say nothing"));
            foreach (var engine in FastRun.Hand)
                FastRun.AssertClose(expected, FastRun.Step(_temp, engine, recompute, everyRow, model => Inject(model, dora, everyRow), lengths: lengths),
                    $"{engine}, DoRA {dora}, recompute {recompute}, every row {everyRow}", IsRecurrent(name) ? 1e-3 : FastRun.Gate);
        }
    }

    [Theory, MemberData(nameof(Families))]
    public void Packed_rows_are_rows_apart_and_decoding_is_the_whole_pass(string name)
    {
        RandomModel.Write(_temp, Configs[name], perExpert: false);
        FastRun.AssertRows(_temp, IsRecurrent(name) ? 3e-5 : 1e-5);
    }

    [Theory, MemberData(nameof(Families))]
    public void Recomputing_and_keeping_give_the_same_bits_whatever_the_threads(string name)
    {
        RandomModel.Write(_temp, Configs[name], perExpert: false);
        var kept = FastRun.Step(_temp, EngineKind.Fast, false, false, model => Inject(model, false, false));
        var threads = TorchSharp.torch.get_num_threads();
        try
        {
            TorchSharp.torch.set_num_threads(threads == 1 ? 2 : 1);
            var recomputed = FastRun.Step(_temp, EngineKind.Fast, true, false, model => Inject(model, false, false));
            Assert.Equal(kept.Loss, recomputed.Loss);
            foreach (var (tensor, values) in kept.Gradients) Assert.Equal(values, recomputed.Gradients[tensor]);
        }
        finally
        {
            TorchSharp.torch.set_num_threads(threads);
        }
    }

    // Keys of length 1 make noise grow where their heads are short, as in the goldens: the kernels alone are held to 1e-5 of float64, see DeltaRuleTests.
    private static bool IsRecurrent(string name) => name.StartsWith("delta", StringComparison.Ordinal);

    private static string Lfm2(string middle, int taps, bool bias) => $$"""
        {"model_type": "lfm2", "vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128,
         "intermediate_size": 48, "block_auto_adjust_ff_dim": false, "conv_L_cache": {{taps}}, "conv_bias": {{(bias ? "true" : "false")}}, "layer_types": ["conv", "{{middle}}", "{{(middle == "conv" ? "full_attention" : "conv")}}"]}
        """;

    private static string Delta(string type, string last, string keys) => $$"""
        {"model_type": "{{type}}", "vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 512,
         "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 32, "linear_value_head_dim": 12, "linear_conv_kernel_dim": 4, "tie_word_embeddings": false,
         "layer_types": ["linear_attention", "{{(last == "linear_attention" ? "full_attention" : "linear_attention")}}", "{{last}}"], {{keys}}}
        """;

    private static void Inject(CausalModel model, bool dora, bool drops)
    {
        AdapterInjector.Inject(model, new LoraSpec { Rank = 3, Alpha = 6, UseDora = dora, Dropout = drops ? 0.3 : 0,
            Targets = TargetModules.Parse(["all-linear"]) }, 1);
        FastRun.Randomize(model);
    }
}
