using System.Text.RegularExpressions;
using Trainer.Adapters;
using Trainer.Adapters.Merge;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Inspect;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Quantize;
using Trainer.Engine.Tests.Fast;
using Trainer.Models;
using Trainer.Models.Families;
using Trainer.Models.Lora;

namespace Trainer.Engine.Tests.Models;

/// <summary>Nemotron-H against its formulas, token by token in float64: Mamba-2, attention without rotary embedding, blocks and experts without
/// gates.</summary>
[Trait("ring", "model")]
public sealed class NemotronHTests : IDisposable
{
    private const int Hidden = 32, Vocabulary = 96;

    private readonly string _temp = Directory.CreateTempSubdirectory("nemotron-h-").FullName;

    public void Dispose() => Directory.Delete(_temp, recursive: true);

    [Theory]
    [InlineData("\"hybrid_override_pattern\": \"M-*EM-\"", "", false)]
    [InlineData("\"layers_block_type\": [\"mamba\", \"mlp\", \"attention\", \"moe\", \"mamba\", \"mlp\"]", "\"moe_latent_size\": 12", true)]
    [InlineData("\"layers_block_type\": [\"linear_attention\", \"full_attention\", \"moe\"]", "\"use_bias\": true, \"mlp_bias\": true", false)]
    public void Logits_equal_the_formulas(string layers, string more, bool perExpert)
    {
        Write(layers, more, perExpert);
        int[] ids = [.. Enumerable.Range(0, 70).Select(i => i * 7 % Vocabulary)];
        var expected = new Formulas(_temp, perExpert).Logits(ids);
        foreach (var engine in (EngineKind[])[EngineKind.Reference, EngineKind.Fast, EngineKind.Libtorch])
        {
            using var model = CausalModel.Load(_temp, new ModelLoadOptions { Engine = engine, Compute = ComputeKind.Float32 });
            using var logits = model.Logits(TokenBatch.OfTokens(ids));
            Assert.Equal(engine.ToString(), model.Engine.Name, ignoreCase: true);
            Assert.InRange(Golden.LargestDifference(logits.data<float>().ToArray(), expected), 0, 5e-5);
        }
    }

    [Fact]
    public void The_hubs_prefix_and_its_tensors_for_further_tokens_change_nothing()
    {
        Write("\"hybrid_override_pattern\": \"M-*E\"", "", true);
        var expected = Logits(_temp);
        foreach (var (embedding, prefix) in new[] { ("backbone.embedding.", "backbone."), ("backbone.embeddings.", "backbone."),
            ("model.embeddings.", "backbone.") })
        {
            using var variant = new FolderVariant(_temp).Rename(name => name.StartsWith("model.embeddings.", StringComparison.Ordinal)
                ? embedding + name["model.embeddings.".Length..] : Regex.Replace(name, "^model\\.", prefix));
            variant.Put("mtp.layers.0.norm.weight", [Hidden], new float[Hidden]);
            Assert.Equal(expected, Logits(variant.Write()));
        }
    }

    [Fact]
    public void Packed_rows_are_rows_apart_and_decoding_is_the_whole_pass()
    {
        Write("\"hybrid_override_pattern\": \"M-*EM\"", "\"moe_latent_size\": 12", false);
        FastRun.AssertRows(_temp, 1e-5, EngineKind.Reference, EngineKind.Fast, EngineKind.Libtorch);
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, true)]
    [InlineData(false, true)]
    public void An_adapter_on_experts_without_gates_is_trained_and_merged(bool isOwn, bool perExpert)
    {
        Write("\"hybrid_override_pattern\": \"M*E\"", "", perExpert);
        var adapter = Directory.CreateDirectory(Path.Combine(_temp, "adapter")).FullName;
        float[] expected;
        int[] ids = [.. Enumerable.Range(0, 40).Select(i => i * 7 % Vocabulary)];
        using (var model = CausalModel.Load(_temp, new ModelLoadOptions { Engine = EngineKind.Reference, Compute = ComputeKind.Float32 }))
        {
            var spec = new LoraSpec { Rank = 2, Alpha = 4, Targets = TargetModules.OfNames(isOwn
                ? ["q_proj", "in_proj", "up_proj", "down_proj"] : ["q_proj", "in_proj"]),
                TargetParameters = isOwn ? [] : ["experts.up_proj", "experts.down_proj"] };
            AdapterInjector.Inject(model, spec, 1);
            FastRun.Randomize(model);
            model.ForwardBackward(TokenBatch.OfRows([(ids, ids)]), 1.0 / 39);
            foreach (var entry in model.Parameters.Entries.Where(entry => entry.Name.Contains(".experts.", StringComparison.Ordinal) && !isOwn))
                Assert.Contains(model.Parameters.GradientsOf(entry).ToArray(), gradient => gradient != 0);
            using var logits = model.Logits(TokenBatch.OfTokens(ids));
            expected = logits.data<float>().ToArray();
            PeftFolder.Save(adapter, model, spec, _temp);
        }
        Assert.Contains(SafetensorsNames(adapter), name => name.StartsWith(isOwn ? "base_model.model.model.layers.2.mixer.experts.3.up_proj.lora_A"
            : "base_model.model.model.layers.2.mixer.experts.base_layer.lora_A", StringComparison.Ordinal));
        var merged = Path.Combine(_temp, "merged");
        ModelMerger.Merge(_temp, adapter, merged, new MergeOptions());
        Assert.InRange(Golden.LargestDifference(Logits(merged, ids), expected), 0, 5e-5);
        Assert.True(Golden.LargestDifference(Logits(_temp, ids), expected) > 0.01);
    }

    [Fact]
    public void All_linear_leaves_out_what_peft_would_not_load_and_naming_it_is_told()
    {
        Write("\"hybrid_override_pattern\": \"M*-\"", "", false);
        foreach (var (targets, loads) in new[] { (TargetModules.AllLinear, true), (TargetModules.OfNames(["q_proj", "out_proj"]), false) })
        {
            var adapter = Directory.CreateDirectory(Path.Combine(_temp, $"adapter-{loads}")).FullName;
            using var model = CausalModel.Load(_temp, new ModelLoadOptions { Engine = EngineKind.Reference });
            var spec = new LoraSpec { Rank = 2, Alpha = 4, Targets = targets };
            AdapterInjector.Inject(model, spec, 1);
            PeftFolder.Save(adapter, model, spec, _temp);
            Assert.Equal(!loads, SafetensorsNames(adapter).Any(name => name.Contains("out_proj", StringComparison.Ordinal)));
            Assert.Equal(!loads, File.ReadAllText(Path.Combine(adapter, PeftFolder.ConfigFile)).Contains("out_proj", StringComparison.Ordinal));
            Assert.Equal(loads, ReaderRules.Judge(adapter, "nemotron_h", isTied: false).Single(one => one.Reader == "PEFT").Loads);
            using var again = CausalModel.Load(_temp, new ModelLoadOptions { Engine = EngineKind.Reference });
            PeftFolder.Load(again, adapter);
            Assert.Equal(model.Parameters.Entries.Select(entry => entry.Name), again.Parameters.Entries.Select(entry => entry.Name));
        }
    }

    [Fact]
    public void It_is_quantized_to_disk_with_the_bits_of_quantizing_at_load()
    {
        Write("\"hybrid_override_pattern\": \"M-*E\"", "", false);
        var folder = Path.Combine(_temp, "nf4");
        // Two projections of Mamba-2, two of the block, four of attention, the experts' and those of the block for all tokens.
        Assert.Equal(2 + 2 + 4 + 2 * 6 + 2, ModelQuantizer.Quantize(_temp, folder, new QuantizeOptions()).Quantized);
        Assert.Equal(Logits(_temp, null, QuantizeKind.Nf4), Logits(folder, null, QuantizeKind.Nf4));
    }

    [Theory]
    [InlineData("\"hybrid_override_pattern\": \"MX\"", "hybrid_override_pattern")]
    [InlineData("\"layers_block_type\": [\"mamba\", \"window\"]", "layers_block_type")]
    [InlineData("\"layers_block_type\": []", "layers_block_type")]
    [InlineData("\"num_hidden_layers\": 3", "hybrid_override_pattern")]
    [InlineData("\"hybrid_override_pattern\": \"M\", \"n_groups\": 4", "n_groups")]
    public void A_wrong_list_of_layers_is_named(string layers, string key)
    {
        File.WriteAllText(Path.Combine(_temp, "config.json"), Config(layers, ""));
        Assert.Contains($"'{key}'", Assert.Throws<ModelException>(() => ConfigLoader.Load(_temp)).Message, StringComparison.Ordinal);
    }

    private static string Config(string layers, string more) => $$"""
        {"model_type": "nemotron_h", "vocab_size": {{Vocabulary}}, "hidden_size": {{Hidden}}, "intermediate_size": 40, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
         "max_position_embeddings": 128, "layer_norm_epsilon": 1e-3, "mamba_num_heads": 6, "mamba_head_dim": 5, {{(layers.Contains("n_groups") ? "" : "\"n_groups\": 2, ")}}"ssm_state_size": 7, "conv_kernel": 4,
         "n_routed_experts": 6, "moe_intermediate_size": 10, "moe_shared_expert_intermediate_size": 14, "num_experts_per_tok": 2, "n_group": 2, "topk_group": 1,
         "norm_topk_prob": true, "routed_scaling_factor": 1.7, {{layers}}{{(more.Length > 0 ? ", " : "")}}{{more}}}
        """;

    private void Write(string layers, string more, bool perExpert) => RandomModel.Write(_temp, Config(layers, more), perExpert);

    private static IEnumerable<string> SafetensorsNames(string folder)
    {
        using var file = SafetensorsFile.Open(Path.Combine(folder, "adapter_model.safetensors"));
        return [.. file.Tensors.Keys];
    }

    private static float[] Logits(string folder, int[]? ids = null, QuantizeKind quantize = QuantizeKind.None)
    {
        using var model = CausalModel.Load(folder, new ModelLoadOptions { Engine = EngineKind.Reference, Compute = ComputeKind.Float32, Quantize = quantize });
        using var logits = model.Logits(TokenBatch.OfTokens(ids ?? [1, 17, 90, 33, 4, 13, 77]));
        return logits.data<float>().ToArray();
    }

    /// <summary>The model written out anew, a token at a time.</summary>
    private sealed class Formulas(string folder, bool perExpert)
    {
        private const int Heads = 6, Size = 5, Groups = 2, States = 7, Inner = Heads * Size, Experts = 6;
        private readonly Dictionary<string, float[]> _tensors = Read(folder);

        public float[] Logits(int[] ids)
        {
            var stream = ids.Select(id => Row(_tensors["model.embeddings.weight"], id, Hidden)).ToArray();
            for (var l = 0; _tensors.ContainsKey($"model.layers.{l}.norm.weight"); l++)
            {
                var path = $"model.layers.{l}.";
                var normed = stream.Select(x => Norm(x, path + "norm.weight")).ToArray();
                var added = Has(path + "mixer.A_log") ? Mamba(normed, path + "mixer.") : Has(path + "mixer.q_proj.weight") ? Attention(normed, path + "mixer.")
                    : Has(path + "mixer.gate.weight") ? normed.Select(x => Mixture(x, path + "mixer.")) : normed.Select(x => Block(x, path + "mixer."));
                stream = [.. stream.Zip(added, (x, y) => x.Zip(y, (a, b) => a + b).ToArray())];
            }
            return [.. stream.SelectMany(x => Times("lm_head", Norm(x, "model.norm_f.weight"))).Select(value => (float)value)];
        }

        private IEnumerable<double[]> Mamba(double[][] tokens, string path)
        {
            var all = tokens.Select(x => Times(path + "in_proj", x)).ToArray();
            var (width, taps, kernel) = (Inner + 2 * Groups * States, 4, _tensors[path + "conv1d.weight"]);
            var state = new double[Heads, Size, States];
            for (var t = 0; t < tokens.Length; t++)
            {
                var mixed = new double[width];
                for (var c = 0; c < width; c++)
                {
                    mixed[c] = _tensors[path + "conv1d.bias"][c];
                    for (var j = 0; j < taps; j++)
                        if (t - taps + 1 + j is >= 0 and var at) mixed[c] += kernel[c * taps + j] * all[at][Inner + c];
                    mixed[c] *= Sigmoid(mixed[c]);
                }
                var result = new double[Inner];
                for (var h = 0; h < Heads; h++)
                {
                    var step = Math.Log(1 + Math.Exp(all[t][Inner + width + h] + _tensors[path + "dt_bias"][h]));
                    var decay = Math.Exp(-Math.Exp(_tensors[path + "A_log"][h]) * step);
                    int write = Inner + h / (Heads / Groups) * States, read = write + Groups * States;
                    for (var i = 0; i < Size; i++)
                    {
                        var value = mixed[h * Size + i];
                        result[h * Size + i] = _tensors[path + "D"][h] * value;
                        for (var n = 0; n < States; n++)
                        {
                            state[h, i, n] = decay * state[h, i, n] + step * value * mixed[write + n];
                            result[h * Size + i] += state[h, i, n] * mixed[read + n];
                        }
                    }
                }
                for (var i = 0; i < Inner; i++) result[i] *= all[t][i] * Sigmoid(all[t][i]);
                // The gate comes before the norm, and each group is normed by itself.
                var normed = result.Chunk(Inner / Groups).SelectMany(part => part.Select(value =>
                    value / Math.Sqrt(part.Sum(one => one * one) / part.Length + 1e-3))).Zip(_tensors[path + "norm.weight"], (value, w) => value * w);
                yield return Times(path + "out_proj", [.. normed]);
            }
        }

        private IEnumerable<double[]> Attention(double[][] tokens, string path)
        {
            double[][] Of(string name) => [.. tokens.Select(x => Times(path + name, x))];
            double[][] q = Of("q_proj"), k = Of("k_proj"), v = Of("v_proj");
            for (var t = 0; t < tokens.Length; t++)
            {
                var attended = new double[32];
                for (var head = 0; head < 4; head++)
                {
                    var own = head / 2 * 8;
                    var weights = Enumerable.Range(0, t + 1).Select(j => Math.Exp(Enumerable.Range(0, 8).Sum(i => q[t][head * 8 + i] * k[j][own + i])
                        / Math.Sqrt(8))).ToArray();
                    for (var i = 0; i < 8; i++) attended[head * 8 + i] = Enumerable.Range(0, t + 1).Sum(j => weights[j] * v[j][own + i]) / weights.Sum();
                }
                yield return Times(path + "o_proj", attended);
            }
        }

        private double[] Block(double[] x, string path) => Times(path + "down_proj", Squared(Times(path + "up_proj", x)));

        private double[] Mixture(double[] x, string path)
        {
            var scores = Times(path + "gate", x).Select(Sigmoid).ToArray();
            var choice = scores.Zip(_tensors[path + "gate.e_score_correction_bias"], (score, correction) => score + correction).ToArray();
            var group = Enumerable.Range(0, 2).MaxBy(g => choice[(3 * g)..(3 * g + 3)].OrderDescending().Take(2).Sum());
            var chosen = Enumerable.Range(3 * group, 3).OrderByDescending(e => choice[e]).Take(2).ToArray();
            var total = chosen.Sum(e => scores[e]);
            var isLatent = Has(path + "fc1_latent_proj.weight");
            var inside = isLatent ? Times(path + "fc1_latent_proj", x) : x;
            var sum = new double[inside.Length];
            foreach (var e in chosen)
            {
                var result = Times(Expert(path, "down_proj", e, inside.Length, 10), Squared(Times(Expert(path, "up_proj", e, 10, inside.Length), inside)));
                for (var i = 0; i < sum.Length; i++) sum[i] += 1.7 * scores[e] / total * result[i];
            }
            if (isLatent) sum = Times(path + "fc2_latent_proj", sum);
            return [.. sum.Zip(Block(x, path + "shared_experts."), (a, b) => a + b)];
        }

        private (double[] Matrix, int Rows) Expert(string path, string name, int e, int rows, int columns) => (perExpert
            ? Row(_tensors[$"{path}experts.{e}.{name}.weight"], 0, rows * columns) : Row(_tensors[$"{path}experts.{name}"], e, rows * columns), rows);

        private static double[] Squared(double[] x) => [.. x.Select(value => Math.Max(value, 0) * Math.Max(value, 0))];

        private double[] Norm(double[] x, string name)
        {
            var scale = 1 / Math.Sqrt(x.Sum(value => value * value) / x.Length + 1e-3);
            return [.. x.Zip(_tensors[name], (value, w) => value * scale * w)];
        }

        private double[] Times(string name, double[] x)
        {
            var matrix = _tensors[name + ".weight"];
            var product = Times((Row(matrix, 0, matrix.Length), matrix.Length / x.Length), x);
            return Has(name + ".bias") ? [.. product.Zip(_tensors[name + ".bias"], (value, bias) => value + bias)] : product;
        }

        private static double[] Times((double[] Matrix, int Rows) weight, double[] x) =>
            [.. Enumerable.Range(0, weight.Rows).Select(r => Enumerable.Range(0, x.Length).Sum(c => weight.Matrix[r * x.Length + c] * x[c]))];

        private bool Has(string name) => _tensors.ContainsKey(name);

        private static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));

        private static double[] Row(float[] values, int row, int length) => [.. values.AsSpan(row * length, length).ToArray().Select(value => (double)value)];

        private static Dictionary<string, float[]> Read(string folder)
        {
            using var model = ShardedModel.Open(folder);
            return model.Tensors.Keys.ToDictionary(name => name,
                name => System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(model.Bytes(name)).ToArray(), StringComparer.Ordinal);
        }
    }
}
