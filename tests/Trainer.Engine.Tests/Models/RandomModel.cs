using Trainer.Checkpoints;
using Trainer.Checkpoints.Safetensors;
using Trainer.Models.Drawing;
using Trainer.Models.Families;
using Trainer.Models.Parts;

namespace Trainer.Engine.Tests.Models;

/// <summary>Model folders of random weights for any config: every tensor that the drawing of the config names.</summary>
internal static class RandomModel
{
    /// <summary>A small mixture: two layers, five experts of which two are chosen.</summary>
    public const string Mixture = """
        {"model_type": "qwen3_moe", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48, "moe_intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 8, "num_experts": 5, "num_experts_per_tok": 2, "norm_topk_prob": true, "max_position_embeddings": 128, "rms_norm_eps": 1e-6, "tie_word_embeddings": false}
        """;

    /// <summary>Writes config.json and model.safetensors.</summary>
    /// <param name="folder">An existing folder.</param>
    /// <param name="config">Text of config.json.</param>
    /// <param name="perExpert">Whether each expert has tensors of its own.</param>
    public static void Write(string folder, string config, bool perExpert = true)
    {
        File.WriteAllText(Path.Combine(folder, "config.json"), config);
        var random = new Random(7);
        var tensors = DecoderBlueprint.Of(ConfigLoader.Load(folder)).Stored
            .SelectMany(module => perExpert && module.Kind == ModuleKind.Experts ? ExpertTensors.OfEach(module) : module.Tensors).ToList();
        using var writer = SafetensorsWriter.Create(Path.Combine(folder, ShardedModel.SingleFile),
            tensors.Select(tensor => new TensorDeclaration(tensor.Name, SafetensorsDtype.F32, tensor.Shape)), SafetensorsWriter.PyTorchMetadata);
        foreach (var (name, shape) in tensors)
        {
            var values = new float[shape.Aggregate(1L, (product, side) => product * side)];
            var width = 1.3 / Math.Sqrt(shape.Length == 0 ? 1 : shape[^1]);
            for (var i = 0; i < values.Length; i++)
                values[i] = shape.Length < 2 ? (float)(1 + 0.2 * (random.NextDouble() - 0.5)) : (float)(width * (2 * random.NextDouble() - 1) * 1.7);
            writer.Write(name, System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(values));
        }
        writer.Complete();
    }
}
