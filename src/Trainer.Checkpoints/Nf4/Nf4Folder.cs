using System.Text.Json.Nodes;
using Trainer.Checkpoints.Folders;
using Trainer.Checkpoints.Safetensors;

namespace Trainer.Checkpoints.Nf4;

/// <summary>
/// The bitsandbytes NF4 layout of a model folder: for each quantized weight X the tensors X (U8 [ceil(n/2), 1]), X.absmax, X.quant_map,
/// with double quantization X.nested_absmax and X.nested_quant_map, and X.quant_state.bitsandbytes__nf4; in config.json a quantization_config.
/// </summary>
public static class Nf4Folder
{
    /// <summary>Ending of the tensor that holds <see cref="Nf4QuantState"/>.</summary>
    public const string StateSuffix = ".quant_state.bitsandbytes__nf4";

    /// <summary>The same of a weight in bitsandbytes' 4-bit floats.</summary>
    public const string Fp4StateSuffix = ".quant_state.bitsandbytes__fp4";

    private const int LongestState = 256;

    /// <summary>The group of a weight that will be quantized; sizes are right but for the state, whose text is not known before.</summary>
    /// <param name="name">Name of the weight.</param>
    /// <param name="elements">Number of its elements.</param>
    /// <param name="isNested">Whether the scales are quantized too.</param>
    public static TensorGroup Group(string name, long elements, bool isNested)
    {
        var blocks = (elements + 63) / 64;
        var tensors = new List<TensorDeclaration>
        {
            new(name, SafetensorsDtype.U8, [(elements + 1) / 2, 1]),
            new(name + ".absmax", isNested ? SafetensorsDtype.U8 : SafetensorsDtype.F32, [blocks]),
            new(name + ".quant_map", SafetensorsDtype.F32, [16]),
            new(name + StateSuffix, SafetensorsDtype.U8, [LongestState]),
        };
        if (isNested)
        {
            tensors.Add(new(name + ".nested_absmax", SafetensorsDtype.F32, [(blocks + 255) / 256]));
            tensors.Add(new(name + ".nested_quant_map", SafetensorsDtype.F32, [256]));
        }
        return new TensorGroup(name, tensors, IsExact: false);
    }

    /// <summary>Writes the tensors of one quantized weight.</summary>
    /// <param name="sink">Where to.</param>
    /// <param name="group">From <see cref="Group"/>.</param>
    /// <param name="weight">The quantized values.</param>
    public static void Write(TensorSink sink, TensorGroup group, Nf4Bytes weight)
    {
        ArgumentNullException.ThrowIfNull(sink);
        ArgumentNullException.ThrowIfNull(group);
        ArgumentNullException.ThrowIfNull(weight);
        var state = weight.State.ToBytes();
        foreach (var tensor in group.Tensors)
        {
            var part = tensor.Name[group.Name.Length..];
            var bytes = part switch
            {
                "" => weight.Packed,
                ".absmax" => weight.Absmax,
                ".quant_map" => weight.QuantMap,
                ".nested_absmax" => weight.NestedAbsmax,
                ".nested_quant_map" => weight.NestedQuantMap,
                _ => state,
            };
            sink.Write(part == StateSuffix ? tensor with { Shape = [state.Length] } : tensor, bytes.Span);
        }
    }

    /// <summary>What config.json says of such a folder, with the keys that transformers writes.</summary>
    /// <param name="computeDtype">float32, float16 or bfloat16.</param>
    /// <param name="isNested">Whether the scales are quantized too.</param>
    public static JsonObject QuantizationConfig(string computeDtype, bool isNested) => new()
    {
        ["_load_in_4bit"] = true,
        ["_load_in_8bit"] = false,
        ["bnb_4bit_compute_dtype"] = computeDtype,
        ["bnb_4bit_quant_storage"] = "uint8",
        ["bnb_4bit_quant_type"] = "nf4",
        ["bnb_4bit_use_double_quant"] = isNested,
        ["llm_int8_enable_fp32_cpu_offload"] = false,
        ["llm_int8_has_fp16_weight"] = false,
        ["llm_int8_skip_modules"] = null,
        ["llm_int8_threshold"] = 6.0,
        ["load_in_4bit"] = true,
        ["load_in_8bit"] = false,
        ["quant_method"] = "bitsandbytes",
    };
}
