using Trainer.Adapters;
using Trainer.Engine.Tests.Models;
using Trainer.Engine;
using Trainer.Models;
using Trainer.Engine.Fast;
using Trainer.Training;

namespace Trainer.Engine.Tests.Training;

/// <summary>The plan's memory of a step, from config.json and options, beside what the engine counts on the loaded model.</summary>
public class PlannedStepTests
{
    [Theory]
    [InlineData("llama31", false)]
    [InlineData("llama31", true)]
    [InlineData("qwen3", true)]
    [InlineData("phi3", true)]
    [InlineData("gemma2", false)]
    [InlineData("gemma2", true)]
    [InlineData("olmo2", false)]
    public void The_plan_counts_a_step_within_a_tenth_of_what_the_engine_cuts(string name, bool dora)
    {
        using var model = CausalModel.Load(Golden.Folder(name), new ModelLoadOptions { Engine = EngineKind.Fast });
        AdapterInjector.Inject(model, new LoraSpec { Rank = 4, UseDora = dora }, 1);
        var options = new TrainingOptions
        {
            Model = name, ModelDirectory = Golden.Folder(name), Data = new Trainer.Data.DataOptions(), OutputDirectory = "o", Quantize = QuantizeKind.None,
            Lora = new LoraOptions { Rank = 4, UseDora = dora }, Threads = TorchSharp.torch.get_num_threads(),
        };
        var ids = Enumerable.Range(0, 400).Select(i => i * 7 % 200).ToArray();
        // Loss on half of the rows: where nearly all carry it, the plan leaves out buffers that are cut and never touched.
        int[] labels = [.. ids.Select((id, i) => i < 200 ? TokenBatch.IgnoredTarget : id)];
        var batch = TokenBatch.OfRows([(ids, labels), (ids, labels), (ids, labels)]);
        foreach (var recompute in (bool[])[true, false])
        {
            var planned = new ModelMemory(model.Adapter, options).StepParts(batch.Length, batch.TrainedTokens, ids.Length, recompute).Sum(part => part.Bytes);
            Assert.InRange(planned / (double)StepMemory.Bytes(model, batch, recompute)!.Value, 0.9, 1.1);
        }
    }
}
