using Trainer.Adapters;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Models.Lora;
using Trainer.Training;
using Trainer.Training.Records;
using Trainer.Training.State;
using Trainer.Training.Steps;

namespace Trainer.Engine.Tests.Training;

/// <summary>What is on disk is what was in memory, and it does something.</summary>
[Trait("ring", "model")]
public sealed class FinalAdapterTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("final-adapter-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(0f, 1f, true)]
    [InlineData(0.1f, 0.1f, false)]
    [InlineData(0.1f, 0f, false)]
    public void An_adapter_that_changes_no_logit_though_its_B_is_not_0_is_a_failure_of_the_save(float a, float b, bool fails)
    {
        var options = new TrainingOptions
        {
            Model = "tiny",
            ModelDirectory = ReferenceData.Embedded,
            Data = new Trainer.Data.DataOptions(),
            OutputDirectory = _folder,
            Quantize = QuantizeKind.None,
            Compute = ComputeKind.Float32,
            Lora = new LoraOptions { Rank = 2, TargetModules = ["q_proj", "v_proj"] },
        };
        using var model = AdaptedModel.Load(options, new Events([]));
        var values = model.Parameters.HostValues().ToArray();
        foreach (var tensor in model.Parameters.Tensors)
            for (var i = 0; i < tensor.Count; i++)
                values[tensor.Offset + i] = (tensor.Name.Contains("lora_A", StringComparison.Ordinal) ? a : b) * (i % 3 - 0.5f);
        model.Parameters.Write(0, values);
        void Write() => FinalAdapter.Write(options, new RunState(), 1, model, new BigramData(11, 7), new Events([]));
        if (fails) Assert.Contains("changes no logit although its B is not 0", Assert.Throws<CannotWriteException>(Write).Message, StringComparison.Ordinal);
        else Write();
        Assert.True(File.Exists(Path.Combine(_folder, PeftFolder.WeightsFile)));
    }
}
