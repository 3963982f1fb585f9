using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using Trainer.Adapters;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Tests.Models;
using Trainer.Engine.Weights;
using Trainer.Models;

namespace Trainer.Engine.Tests.Adapters;

[Trait("ring", "model")]
public class QloraGoldenTests
{
    public static TheoryData<string> Cases => new("llama31_nf4", "llama31_nf4_dq");

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_prequantized_folder_multiplies_with_the_reference_s_very_weights(string name)
    {
        using var model = CausalModel.Load(Golden.Folder("qlora", name, "prequantized"));
        AssertWeights(model, name);
    }

    [Fact]
    public void Quantizing_on_load_gives_the_weights_of_the_reference()
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"), new ModelLoadOptions { Quantize = QuantizeKind.Nf4, DoubleQuantize = false });
        Assert.All(model.Linears, linear => Assert.Equal(WeightForm.Nf4, linear.Weight.Form));
        Assert.Equal(WeightForm.Float32, model.Head.Weight.Form);
        AssertWeights(model, "llama31_nf4");
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Loss_gradients_and_ten_steps_on_a_4_bit_base_equal_the_reference(string name)
    {
        using var model = CausalModel.Load(Golden.Folder("qlora", name, "prequantized"), new ModelLoadOptions { Engine = EngineKind.Reference });
        PeftFolder.Load(model, Golden.Folder("qlora", name, "adapter_init"));
        using var io = SafetensorsFile.Open(Golden.Folder("llama31", "io.safetensors"));
        using var gradients = SafetensorsFile.Open(Golden.Folder("qlora", name, "grads_step0.safetensors"));
        var expected = Golden.Expected(Golden.Folder("qlora", name));
        var batch = Golden.Batch(io, trimmed: true);
        var result = model.ForwardBackward(batch, 1.0 / batch.TrainedTokens);
        Assert.InRange(Math.Abs(result.LossSum / result.TrainedTokens - expected.GetProperty("loss_step0").GetDouble()), 0, Golden.LossGate);
        foreach (var (key, _) in gradients.Tensors)
        {
            var reference = Golden.Floats(gradients, key);
            Assert.InRange(Golden.LargestDifference(model.Parameters.GradientsOf(model.Parameters.Find(key)!), reference), 0,
                Golden.GradientGate * reference.Max(Math.Abs));
        }
        model.Parameters.ZeroGradients();
        LoraGoldenTests.Follow(model, "llama31", expected.GetProperty("traj"), 1);
    }

    [Fact]
    public void Eight_bit_rows_stay_close_to_the_base()
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"), new ModelLoadOptions { Quantize = QuantizeKind.Int8, Engine = EngineKind.Reference });
        using var plain = CausalModel.Load(Golden.Folder("llama31"), new ModelLoadOptions { Engine = EngineKind.Reference });
        using var io = SafetensorsFile.Open(Golden.Folder("llama31", "io.safetensors"));
        var batch = Golden.Batch(io, trimmed: true);
        Assert.All(model.Linears, linear => Assert.Equal(WeightForm.Int8, linear.Weight.Form));
        var (quantized, reference) = (model.TokenLosses(batch).Sum(), plain.TokenLosses(batch).Sum());
        Assert.NotEqual(reference, quantized);
        Assert.InRange(quantized, reference * 0.99, reference * 1.01);
    }

    [Fact]
    public void Matrices_that_a_quantized_folder_keeps_in_full_precision_stay_so()
    {
        var folder = Directory.CreateTempSubdirectory("mixed-").FullName;
        const string Name = "model.layers.1.mlp.up_proj.weight";
        try
        {
            var source = Golden.Folder("qlora", "llama31_nf4", "prequantized");
            File.Copy(Path.Combine(source, "config.json"), Path.Combine(folder, "config.json"));
            using (var file = SafetensorsFile.Open(Path.Combine(source, "model.safetensors")))
            {
                var tensors = file.Tensors.Values.Where(entry => !entry.Name.StartsWith(Name, StringComparison.Ordinal)).ToList();
                using var writer = SafetensorsWriter.Create(Path.Combine(folder, "model.safetensors"),
                    [.. tensors.Select(entry => new TensorDeclaration(entry.Name, entry.Dtype, entry.Shape)),
                    new TensorDeclaration(Name, SafetensorsDtype.BF16, [128, 64])], null);
                foreach (var entry in tensors) writer.Write(entry.Name, file.Bytes(entry));
                writer.Write(Name, new byte[128 * 64 * 2]);
                writer.Complete();
            }
            using var model = CausalModel.Load(folder, new ModelLoadOptions { Quantize = QuantizeKind.Nf4 });
            Assert.Equal(WeightForm.BFloat16, model.Linears.Single(linear => linear.Name + ".weight" == Name).Weight.Form);
            Assert.Equal(20, model.Linears.Count(linear => linear.Weight.Form == WeightForm.Nf4));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void Products_in_bfloat16_stay_close_and_train()
    {
        using var plain = LoraGoldenTests.Load("llama31_base", "adapter_init", checkpointing: true);
        using var model = CausalModel.Load(Golden.Folder("llama31"), new ModelLoadOptions { Engine = EngineKind.Reference, Compute = ComputeKind.BFloat16 });
        PeftFolder.Load(model, Golden.Folder("lora", "llama31_base", "adapter_init"));
        using var io = SafetensorsFile.Open(Golden.Folder("llama31", "io.safetensors"));
        var batch = Golden.Batch(io, trimmed: true);
        var (rounded, exact) = (model.ForwardBackward(batch, 0.01).LossSum, plain.ForwardBackward(batch, 0.01).LossSum);
        Assert.NotEqual(exact, rounded);
        Assert.InRange(rounded, exact * 0.99, exact * 1.01);
        var (a, b) = (model.Parameters.GradientSpan.ToArray(), plain.Parameters.GradientSpan.ToArray());
        var cosine = a.Zip(b).Sum(pair => (double)pair.First * pair.Second) / Math.Sqrt(a.Sum(x => (double)x * x) * b.Sum(x => (double)x * x));
        Assert.InRange(cosine, 0.99, 1);
    }

    private static unsafe void AssertWeights(CausalModel model, string name)
    {
        using var expected = JsonDocument.Parse(File.ReadAllBytes(Golden.Folder("qlora", name, "dequantized_sha256.json")));
        foreach (var linear in model.Linears)
        {
            var own = new float[linear.OutFeatures * linear.InFeatures];
            // In two pieces, the second from a row inside the matrix.
            fixed (float* values = own)
            {
                linear.Weight.Materialize(0, 3, values);
                linear.Weight.Materialize(3, linear.OutFeatures - 3, values + 3 * linear.InFeatures);
            }
            Assert.Equal(expected.RootElement.GetProperty(linear.Name + ".weight").GetString(),
                Convert.ToHexStringLower(SHA256.HashData(MemoryMarshal.AsBytes(own.AsSpan()))));
        }
    }
}
