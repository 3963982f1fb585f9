using Trainer.Adapters;
using Trainer.Checkpoints.Safetensors;
using Trainer.Models;
using Trainer.Models.Lora;

namespace Trainer.Engine.Tests.Models;

/// <summary>The term of the training loss that balances experts.</summary>
[Trait("ring", "model")]
public sealed class RouterBalanceTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("router-balance-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [SkippableTheory]
    [Trait("ring", "slow")]
    [InlineData("mixtral")]
    [InlineData("olmoe")]
    [InlineData("qwen2_moe")]
    [InlineData("qwen3_moe")]
    [InlineData("qwen3_next")]
    [InlineData("gpt_oss")]
    public void The_loss_with_router_logits_is_that_of_the_reference(string name)
    {
        var golden = ReferenceData.Transformers("models", name);
        foreach (var file in Directory.GetFiles(golden)) File.Copy(file, Path.Combine(_folder, Path.GetFileName(file)));
        TurnOn("\"output_router_logits\": false", "\"output_router_logits\": true");
        using var model = Load(recomputes: true);
        using var io = SafetensorsFile.Open(Path.Combine(golden, "io.safetensors"));
        var expected = Golden.Expected(golden).GetProperty("aux_loss");
        var batch = WithBalance(Golden.Batch(io, trimmed: false), 1);
        Inject(model, isFresh: true);
        var result = model.ForwardBackward(batch, 1.0 / batch.TrainedTokens);
        Assert.InRange(Math.Abs(result.Balance / model.Config.BalanceLoss / batch.TrainedTokens - expected.GetProperty("aux_loss").GetDouble()), 0, 2e-5);
        var masked = WithBalance(Golden.Batch(io, trimmed: true), 1);
        result = model.ForwardBackward(masked, 1.0 / masked.TrainedTokens);
        Assert.InRange(Math.Abs(result.LossSum / masked.TrainedTokens - expected.GetProperty("loss_attention_mask_with_output_router_logits").GetDouble()), 0,
            GoldenFamilies.LossGate(name));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_gradient_with_the_term_is_the_slope_of_the_loss(bool recomputes)
    {
        RandomModel.Write(_folder, RandomModel.Mixture.TrimEnd().TrimEnd('}') + ", \"output_router_logits\": true, \"router_aux_loss_coef\": 2.0}");
        using var model = Load(recomputes);
        Inject(model);
        var random = new Random(3);
        var ids = Enumerable.Range(0, 24).Select(_ => random.Next(96)).ToArray();
        double Loss(double weight) => model.ForwardBackward(WithBalance(TokenBatch.OfRows([(ids, ids)]), weight), 0).LossSum;
        Assert.NotEqual(Loss(0), Loss(1), 1e-3);
        // The slope along the gradient of the term alone, so that the larger token loss does not hide it.
        float[] Gradient(double weight)
        {
            model.Parameters.ZeroGradients();
            model.ForwardBackward(WithBalance(TokenBatch.OfRows([(ids, ids)]), weight), 1);
            return [.. model.Parameters.Entries.SelectMany(entry => model.Parameters.GradientsOf(entry).ToArray())];
        }
        var direction = Gradient(1).Zip(Gradient(0), (with, without) => with - without).ToArray();
        var square = direction.Sum(value => (double)value * value);
        Assert.True(square > 1e-6, "the term has a gradient");
        double Term(double step)
        {
            Move(model, direction, step);
            var term = Loss(1) - Loss(0);
            Move(model, direction, -step);
            return term;
        }
        var size = 2e-3 / Math.Sqrt(square);
        Assert.InRange((Term(size) - Term(-size)) / (2 * size) / square, 0.97, 1.03);
    }

    [Fact]
    public void Without_router_logits_in_the_config_there_is_no_term()
    {
        RandomModel.Write(_folder, RandomModel.Mixture.TrimEnd().TrimEnd('}') + ", \"router_aux_loss_coef\": 2.0}");
        using var model = Load(recomputes: true);
        Assert.Equal(0, model.Config.BalanceLoss);
    }

    private CausalModel Load(bool recomputes)
        => CausalModel.Load(_folder, new ModelLoadOptions { Quantize = QuantizeKind.None, Compute = ComputeKind.Float32, Engine = EngineKind.Reference,
            GradientCheckpointing = recomputes });

    private static void Inject(CausalModel model, bool isFresh = false)
    {
        AdapterInjector.Inject(model, new LoraSpec { Rank = 2, Alpha = 4, Targets = TargetModules.OfNames(["q_proj", "v_proj", "o_proj"]) }, 1);
        if (isFresh) return;
        // B of a fresh adapter is 0, which hides A's gradient.
        var random = new Random(5);
        foreach (var tensor in model.Parameters.Entries)
            model.Parameters.Write(tensor, [.. Enumerable.Range(0, (int)tensor.Count).Select(_ => (float)(random.NextDouble() - 0.5) * 0.2f)]);
    }

    private static void Move(CausalModel model, float[] direction, double step)
    {
        var at = 0;
        foreach (var tensor in model.Parameters.Entries)
        {
            var values = model.Parameters.ValuesOf(tensor).ToArray();
            for (var i = 0; i < values.Length; i++) values[i] += (float)(step * direction[at++]);
            model.Parameters.Write(tensor, values);
        }
    }

    private static TokenBatch WithBalance(TokenBatch batch, double share) =>
        new(batch.TokenIds, batch.Targets, batch.Positions, batch.SegmentStarts, batch.SegmentWeights) { BalanceWeight = share * batch.TrainedTokens };

    private void TurnOn(string old, string now)
    {
        var path = Path.Combine(_folder, "config.json");
        var text = File.ReadAllText(path);
        File.WriteAllText(path, text.Contains(old, StringComparison.Ordinal)
            ? text.Replace(old, now, StringComparison.Ordinal) : text.TrimEnd().TrimEnd('}') + $", {now}}}");
    }
}
