using System.Runtime.InteropServices;
using Trainer.Checkpoints;
using Trainer.Models;

namespace Trainer.Engine.Tests.Models;

/// <summary>Falcon-H1 against its formulas, token by token in float64: Mamba-2 and attention side by side, a multiplier at every joint.</summary>
[Trait("ring", "model")]
public sealed class FalconH1Tests : IDisposable
{
    private const int Hidden = 32, Vocabulary = 96;

    private readonly string _temp = Directory.CreateTempSubdirectory("falcon-h1-").FullName;

    public void Dispose() => Directory.Delete(_temp, recursive: true);

    [Theory]
    [InlineData("\"mamba_rms_norm\": true", true, true)]
    [InlineData("\"mamba_rms_norm\": true, \"mamba_norm_before_gate\": false", true, false)]
    [InlineData("\"mamba_rms_norm\": false", false, false)]
    public void Logits_equal_the_formulas(string keys, bool isNormed, bool isNormedFirst)
    {
        RandomModel.Write(_temp, $$"""
            {"model_type": "falcon_h1", "vocab_size": {{Vocabulary}}, "hidden_size": {{Hidden}}, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4,
             "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128, "rms_norm_eps": 1e-3, "rope_theta": 10000.0, "tie_word_embeddings": false,
             "mamba_n_heads": 6, "mamba_d_ssm": 30, "mamba_d_state": 7, "mamba_d_conv": 4, "mamba_n_groups": 2, "attention_in_multiplier": 0.7,
             "attention_out_multiplier": 1.4, "ssm_in_multiplier": 1.2, "ssm_out_multiplier": 0.6, "key_multiplier": 0.5, "mlp_multipliers": [0.8, 1.3],
             "ssm_multipliers": [0.9, 1.1, 0.7, 1.3, 0.6], "embedding_multiplier": 2.5, "lm_head_multiplier": 0.4, {{keys}}}
            """);
        int[] ids = [.. Enumerable.Range(0, 70).Select(i => i * 7 % Vocabulary)];
        var expected = new Formulas(_temp, isNormed, isNormedFirst).Logits(ids);
        foreach (var engine in (EngineKind[])[EngineKind.Reference, EngineKind.Fast, EngineKind.Libtorch])
        {
            using var model = CausalModel.Load(_temp, new ModelLoadOptions { Engine = engine, Compute = ComputeKind.Float32 });
            using var logits = model.Logits(TokenBatch.OfTokens(ids));
            Assert.Equal(engine.ToString(), model.Engine.Name, ignoreCase: true);
            Assert.InRange(Golden.LargestDifference(logits.data<float>().ToArray(), expected), 0, 5e-5);
        }
    }

    /// <summary>The model written out anew, a token at a time.</summary>
    private sealed class Formulas(string folder, bool isNormed, bool isNormedFirst)
    {
        private const int Heads = 6, Size = 5, Groups = 2, States = 7, Inner = Heads * Size, Width = Inner + 2 * Groups * States, Taps = 4;
        private readonly Dictionary<string, double[]> _tensors = Read(folder);

        public float[] Logits(int[] ids)
        {
            var stream = ids.Select(id => _tensors["model.embed_tokens.weight"].AsSpan(id * Hidden, Hidden).ToArray().Select(value => 2.5 * value).ToArray())
                .ToArray();
            for (var l = 0; l < 3; l++)
            {
                var path = $"model.layers.{l}.";
                var normed = stream.Select(x => Norm(x, path + "input_layernorm")).ToArray();
                double[][] state = Mamba(normed, path + "mamba."), attended = Attention(normed, path + "self_attn.");
                for (var t = 0; t < stream.Length; t++) stream[t] = Add(Add(stream[t], state[t], 0.6), attended[t], 1.4);
                stream = [.. stream.Select(x => Add(x, Block(Norm(x, path + "pre_ff_layernorm"), path + "feed_forward."), 1.3))];
            }
            return [.. stream.SelectMany(x => Times("lm_head", Norm(x, "model.final_layernorm"))).Select(value => (float)(0.4 * value))];
        }

        private double[] Block(double[] x, string path)
            => Times(path + "down_proj", [.. Times(path + "gate_proj", x).Select(gate => Silu(0.8 * gate)).Zip(Times(path + "up_proj", x), (a, b) => a * b)]);

        private double[][] Mamba(double[][] tokens, string path)
        {
            double[] parts = [.. Enumerable.Repeat(0.9, Inner), .. Enumerable.Repeat(1.1, Inner), .. Enumerable.Repeat(0.7, Groups * States),
                .. Enumerable.Repeat(1.3, Groups * States), .. Enumerable.Repeat(0.6, Heads)];
            double[] First(double[] x) => [.. Times(path + "in_proj", [.. x.Select(value => 1.2 * value)]).Zip(parts, (value, part) => value * part)];
            var all = tokens.Select(First).ToArray();
            var state = new double[Heads, Size, States];
            return [.. Enumerable.Range(0, tokens.Length).Select(t => Times(path + "out_proj", Gated(Scan(all, t, state, path), all[t], path)))];
        }

        private double[] Scan(double[][] all, int t, double[,,] state, string path)
        {
            var mixed = Enumerable.Range(0, Width).Select(c => Silu(_tensors[path + "conv1d.bias"][c] + Enumerable.Range(0, Taps)
                .Where(j => t - Taps + 1 + j >= 0).Sum(j => _tensors[path + "conv1d.weight"][c * Taps + j] * all[t - Taps + 1 + j][Inner + c]))).ToArray();
            var result = new double[Inner];
            for (var at = 0; at < Inner; at++)
            {
                var (h, i) = (at / Size, at % Size);
                var step = Math.Log(1 + Math.Exp(all[t][Inner + Width + h] + _tensors[path + "dt_bias"][h]));
                int write = Inner + h / (Heads / Groups) * States, read = write + Groups * States;
                result[at] = _tensors[path + "D"][h] * mixed[at];
                for (var n = 0; n < States; n++)
                {
                    state[h, i, n] = Math.Exp(-Math.Exp(_tensors[path + "A_log"][h]) * step) * state[h, i, n] + step * mixed[at] * mixed[write + n];
                    result[at] += state[h, i, n] * mixed[read + n];
                }
            }
            return result;
        }

        private double[] Gated(double[] x, double[] gates, string path)
        {
            double[] Gate(double[] values) => [.. values.Select((value, i) => value * Silu(gates[i]))];
            if (!isNormed) return Gate(x);
            return isNormedFirst ? Gate(GroupNorm(x, path)) : GroupNorm(Gate(x), path);
        }

        private double[] GroupNorm(double[] x, string path) => [.. x.Chunk(Inner / Groups).SelectMany(part => part.Select(value =>
            value / Math.Sqrt(part.Sum(one => one * one) / part.Length + 1e-3))).Zip(_tensors[path + "norm.weight"], (value, w) => value * w)];

        private double[][] Attention(double[][] tokens, string path)
        {
            double[][] Of(string name) => [.. tokens.Select(x => Times(path + name, [.. x.Select(value => 0.7 * value)]))];
            double[][] q = [.. Of("q_proj").Select(Turn)], k = [.. Of("k_proj").Select(Turn)], v = Of("v_proj");
            return [.. Enumerable.Range(0, tokens.Length).Select(t => Times(path + "o_proj", [.. Enumerable.Range(0, 4).SelectMany(head =>
            {
                var own = head / 2 * 8;
                var weights = Enumerable.Range(0, t + 1)
                    .Select(j => Math.Exp(Enumerable.Range(0, 8).Sum(i => q[t][head * 8 + i] * 0.5 * k[j][own + i]) / Math.Sqrt(8))).ToArray();
                return Enumerable.Range(0, 8).Select(i => Enumerable.Range(0, t + 1).Sum(j => weights[j] * v[j][own + i]) / weights.Sum());
            })]))];
        }

        // Halves of a head turn together.
        private static double[] Turn(double[] heads, int position) => [.. heads.Select((value, at) =>
        {
            var (i, isFirst) = (at % 4, at % 8 < 4);
            var angle = position * Math.Pow(10000, -2.0 * i / 8);
            return value * Math.Cos(angle) + (isFirst ? -heads[at + 4] : heads[at - 4]) * Math.Sin(angle);
        })];

        private double[] Norm(double[] x, string name)
            => [.. x.Zip(_tensors[name + ".weight"], (value, w) => value * w / Math.Sqrt(x.Sum(one => one * one) / x.Length + 1e-3))];

        private double[] Times(string name, double[] x) => [.. _tensors[name + ".weight"].Chunk(x.Length).Select(row => row.Zip(x, (a, b) => a * b).Sum())];

        private static double[] Add(double[] x, double[] y, double factor) => [.. x.Zip(y, (a, b) => a + factor * b)];

        private static double Silu(double x) => x / (1 + Math.Exp(-x));

        private static Dictionary<string, double[]> Read(string folder)
        {
            using var model = ShardedModel.Open(folder);
            return model.Tensors.Keys.ToDictionary(name => name,
                name => MemoryMarshal.Cast<byte, float>(model.Bytes(name)).ToArray().Select(value => (double)value).ToArray(), StringComparer.Ordinal);
        }
    }
}
