using Trainer.Checkpoints.Gguf;
using Trainer.Engine.Quantize;
using Trainer.Models.Config;

namespace Trainer.Engine.Gguf;

/// <summary>The learned numbers of Apertus' activation: tensors of a folder, keys of a GGUF file with a number for each layer.</summary>
internal static class GgufActivation
{
    private static readonly string[] Numbers = ["alpha_p", "alpha_n", "beta", "eps"];

    /// <summary>The keys; none of other models.</summary>
    /// <param name="config">The model.</param>
    /// <param name="tensors">Its folder.</param>
    /// <param name="stored">The folder's name of a tensor of the module tree.</param>
    public static IEnumerable<KeyValuePair<string, GgufValue>> Of(ModelConfig config, BaseTensors tensors, Func<string, string> stored)
    {
        if (config.Activation != Activation.Xielu) yield break;
        foreach (var number in Numbers)
        {
            var values = new float[config.LayerCount];
            for (var layer = 0; layer < values.Length; layer++) tensors.Read(stored(Name(config, layer, number)), 0, values.AsSpan(layer, 1));
            yield return new("xielu." + number, GgufValue.Of(values));
        }
    }

    /// <summary>The tensors of the folder that a file becomes.</summary>
    /// <param name="config">The model.</param>
    /// <param name="file">The file.</param>
    public static IEnumerable<IGgufPart> Parts(ModelConfig config, GgufFile file)
    {
        if (config.Activation != Activation.Xielu) yield break;
        foreach (var number in Numbers)
        {
            var values = file.Find("xielu." + number)?.Value switch
            {
                float[] each when each.Length == config.LayerCount => each,
                float one => [.. Enumerable.Repeat(one, config.LayerCount)],
                _ => throw GgufConfig.Bad(file, $"'xielu.{number}' is no number for each of its {config.LayerCount} layers"),
            };
            for (var layer = 0; layer < values.Length; layer++)
                yield return new GgufNumber(Name(config, layer, number), number is "beta" or "eps" ? [] : [1], values[layer]);
        }
    }

    private static string Name(ModelConfig config, int layer, string number) => $"{config.TextPath}.layers.{layer}.mlp.act_fn.{number}";
}
