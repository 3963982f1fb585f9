using Trainer.Adapters;
using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Models.Lora;

namespace Trainer.Engine.Tests.Fast;

/// <summary>What is trained whole (norms, embedding, head, every matrix), and an adapter on the head, against the reference engine.</summary>
[Trait("ring", "model")]
public sealed class FastWholeWeightTests
{
    private const double EngineGate = 2e-5;

    public static TheoryData<string, bool> Families
    {
        get
        {
            var data = new TheoryData<string, bool>();
            foreach (var row in FastGradientTests.Families) data.Add(row, data.Count % 2 == 0);
            return data;
        }
    }

    [Theory, MemberData(nameof(Families))]
    public void With_all_weights_trained_every_gradient_equals_the_reference_engines(string name, bool checkpointing)
        => Compare(engine => CausalModel.Load(Golden.Folder(name),
            new ModelLoadOptions { Engine = engine, TrainAllWeights = true, GradientCheckpointing = checkpointing }));

    // Which layer the backward pass may stop at hangs on the lowest of these.
    [Theory]
    [InlineData("llama31", "norm", "lm_head")]
    [InlineData("llama31", "embed_tokens", "v_proj")]
    [InlineData("llama31", "layers.1.input_layernorm", "lm_head")]
    [InlineData("qwen3", "q_norm", "lm_head")]
    [InlineData("olmo2", "post_attention_layernorm", "lm_head")]
    [InlineData("gemma2", "post_feedforward_layernorm", "down_proj")]
    [InlineData("granite", "input_layernorm", "lm_head")]
    [InlineData("granite", "embed_tokens", "q_proj,lm_head")]
    [InlineData("llama31", "lm_head", "q_proj")]
    public void Modules_saved_whole_and_an_adapted_head_have_the_reference_engines_gradients(string name, string saved, string targets)
    {
        foreach (var (checkpointing, dropout) in ((bool, double)[])[(true, 0), (false, 0.3)])
        {
            Compare(engine =>
            {
                var model = CausalModel.Load(Golden.Folder(name), new ModelLoadOptions { Engine = engine, GradientCheckpointing = checkpointing });
                AdapterInjector.Inject(model, new LoraSpec { Rank = 4, Alpha = 8, Dropout = dropout, Targets = TargetModules.Parse(targets.Split(',')),
                    ModulesToSave = [saved] }, 1);
                FastRun.Randomize(model);
                return model;
            });
        }
    }

    [Fact]
    public void The_bits_are_those_of_any_number_of_threads()
    {
        float[] Gradients(int threads)
        {
            var before = TorchSharp.torch.get_num_threads();
            TorchSharp.torch.set_num_threads(threads);
            try
            {
                using var model = CausalModel.Load(Golden.Folder("gemma2"), new ModelLoadOptions { Engine = EngineKind.Fast, TrainAllWeights = true });
                model.ForwardBackward(FastRun.Batch(model.Config.VocabularySize, true), 0.125, new StepKey(1, 2, 3));
                return [.. model.Parameters.Find("model.norm.weight") is { } norm ? model.Parameters.GradientsOf(norm) : []];
            }
            finally
            {
                TorchSharp.torch.set_num_threads(before);
            }
        }
        Assert.NotEmpty(Gradients(1));
        Assert.Equal(Gradients(1), Gradients(2));
    }

    private static void Compare(Func<EngineKind, CausalModel> load)
    {
        foreach (var (everyRow, engine) in new[] { (false, EngineKind.Fast), (true, EngineKind.Fast), (false, EngineKind.Libtorch),
            (true, EngineKind.Libtorch) })
        {
            using var expected = load(EngineKind.Reference);
            using var actual = load(engine);
            var batch = FastRun.Batch(expected.Config.VocabularySize, everyRow);
            var loss = expected.ForwardBackward(batch, 0.125, new StepKey(1, 2, 3)).LossSum;
            Assert.InRange(Math.Abs(actual.ForwardBackward(batch, 0.125, new StepKey(1, 2, 3)).LossSum - loss) / loss, 0, 1e-6);
            Assert.Equal(engine.ToString(), actual.Engine.Name, ignoreCase: true);
            foreach (var entry in expected.Parameters.Entries)
            {
                var values = expected.Parameters.GradientsOf(entry).ToArray();
                var largest = values.Max(Math.Abs);
                Assert.True(largest > 0, $"{entry.Name} has no gradient, so the comparison would say nothing");
                var difference = Golden.LargestDifference(values, actual.Parameters.GradientsOf(actual.Parameters.Find(entry.Name)!)) / largest;
                Assert.True(difference <= EngineGate, $"{entry.Name} on {engine}, every row {everyRow}: {difference}");
            }
        }
    }
}
