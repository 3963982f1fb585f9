using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Nf4;
using Trainer.Checkpoints.Safetensors;

namespace Trainer.Checkpoints.Inspect;

/// <summary>How the weights of a folder are stored, read from the tensors themselves: config.json may say otherwise.</summary>
/// <param name="Dtype">The type that most bytes of unquantized tensors have, as torch calls it.</param>
/// <param name="Quantization">nf4 or int8 of bitsandbytes, or null where nothing is quantized so.</param>
/// <param name="HasCodes">Whether any matrix is of another type than plain floats: codes of some quantization.</param>
public sealed record StoredForm(string Dtype, string? Quantization, bool HasCodes)
{
    private const string Int8Scales = ".SCB";

    /// <summary>Looks at the names and types of a model's tensors.</summary>
    /// <param name="model">Its files.</param>
    public static StoredForm Of(ShardedModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        var state = model.Tensors.Keys.FirstOrDefault(static name => name.EndsWith(Nf4Folder.StateSuffix, StringComparison.Ordinal));
        var dtype =
            model.Tensors.Values.Where(static entry => entry.Dtype is SafetensorsDtype.F32 or SafetensorsDtype.F16 or SafetensorsDtype.BF16)
            .DefaultIfEmpty(model.Tensors.Values.First())
            .GroupBy(static entry => entry.Dtype).MaxBy(static group => group.Sum(static entry => entry.ByteCount))!.Key;
        var quantization = state is not null ? Nf4QuantState.Parse(model.Bytes(state), state).NestedOffset is null ? "nf4" : "nf4, scales quantized too"
            : model.Tensors.Keys.Any(static name => name.EndsWith(Int8Scales, StringComparison.Ordinal)) ? "int8" : null;
        return new StoredForm(dtype switch { SafetensorsDtype.F32 => "float32", SafetensorsDtype.F16 => "float16", SafetensorsDtype.BF16 => "bfloat16",
            _ => dtype.Name() }, quantization,
            model.Tensors.Values.Any(static entry => entry.Shape.Length == 2
            && entry.Dtype is not (SafetensorsDtype.F32 or SafetensorsDtype.F16 or SafetensorsDtype.BF16 or SafetensorsDtype.F64)));
    }
}
