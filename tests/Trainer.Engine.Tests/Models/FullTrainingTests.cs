using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Tests.Adapters;
using Trainer.Engine.Weights;
using Trainer.Models;

namespace Trainer.Engine.Tests.Models;

[Trait("ring", "model")]
public sealed class FullTrainingTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("full-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("llama2", true)]
    [InlineData("llama2", false)]
    [InlineData("qwen2", true)]
    [InlineData("gemma3", true)]
    [InlineData("phi3", true)]
    [InlineData("olmo2", false)]
    [InlineData("gemma3", true, EngineKind.Fast)]
    [InlineData("olmo2", false, EngineKind.Fast)]
    public void Every_weight_has_the_gradient_that_finite_differences_give(string name, bool checkpointing, EngineKind engine = EngineKind.Reference)
    {
        using var model = CausalModel.Load(Golden.Folder(name),
            new ModelLoadOptions { TrainAllWeights = true, Engine = engine, GradientCheckpointing = checkpointing });
        using var io = SafetensorsFile.Open(Golden.Folder(name, "io.safetensors"));
        var batch = Golden.Batch(io, trimmed: true);
        var scale = 1.0 / batch.TrainedTokens;
        Assert.Equal(model.Blueprint.Stored.SelectMany(module => module.Tensors).Select(tensor => tensor.Name).Order(StringComparer.Ordinal),
            model.Parameters.Entries.Select(entry => entry.Name).Order(StringComparer.Ordinal));
        model.ForwardBackward(batch, scale);
        double Loss() => model.TokenLosses(batch).Sum(loss => (double)loss) * scale;
        foreach (var entry in model.Parameters.Entries.Where((_, index) => index % 3 == 0))
        {
            // Along the gradient itself the slope is its norm: one number that every element enters.
            var gradient = model.Parameters.GradientsOf(entry).ToArray();
            var norm = Math.Sqrt(gradient.Sum(g => (double)g * g));
            var step = 2e-3 / Math.Max(norm, 1e-2);
            var saved = model.Parameters.ValuesOf(entry).ToArray();
            double At(double direction)
            {
                var values = model.Parameters.ValuesOf(entry);
                for (var i = 0; i < values.Length; i++) values[i] = (float)(saved[i] + direction * step * gradient[i] / Math.Max(norm, 1e-12));
                return Loss();
            }
            var slope = (At(1) - At(-1)) / (2 * step);
            saved.CopyTo(model.Parameters.ValuesOf(entry));
            Assert.True(Math.Abs(slope - norm) <= 0.02 * norm + 2e-3, $"{entry.Name}: slope {slope}, gradient norm {norm}");
        }
    }

    [Fact]
    public void A_fresh_model_learns_and_what_is_written_is_what_was_trained()
    {
        File.Copy(Golden.Folder("llama2", "config.json"), Path.Combine(_folder, "config.json"));
        FullModelFolder.WriteFresh(_folder, seed: 7);
        var trained = Directory.CreateDirectory(Path.Combine(_folder, "trained")).FullName;
        var row = Enumerable.Range(0, 32).Select(t => t * t % 97 + 3).ToArray();
        var batch = TokenBatch.OfRows([(row, row)]);
        float[] losses;
        using (var model = CausalModel.Load(_folder, new ModelLoadOptions { TrainAllWeights = true, Engine = EngineKind.Reference }))
        {
            var first = model.TokenLosses(batch).Sum() / batch.TrainedTokens;
            Assert.InRange(first, Math.Log(256) - 0.5, Math.Log(256) + 0.5);
            var optimizer = new PlainOptimizer(model.Parameters, 1e-2, 0, 2, 40);
            for (var step = 0; step < 40; step++)
            {
                model.ForwardBackward(batch, 1.0 / batch.TrainedTokens);
                optimizer.Step();
            }
            losses = model.TokenLosses(batch);
            Assert.True(losses.Sum() / batch.TrainedTokens < 0.5 * first, $"{losses.Sum() / batch.TrainedTokens} from {first}");
            FullModelFolder.WriteTrained(trained, model);
        }
        File.Copy(Golden.Folder("llama2", "config.json"), Path.Combine(trained, "config.json"));
        using var again = CausalModel.Load(trained, new ModelLoadOptions { Engine = EngineKind.Reference });
        Assert.InRange(Golden.LargestDifference(losses, again.TokenLosses(batch)), 0, 1e-5);
    }
}
