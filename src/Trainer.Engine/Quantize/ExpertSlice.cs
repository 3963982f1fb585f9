using Trainer.Checkpoints.Nf4;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Reference;
using Trainer.Engine.Weights;
using Trainer.Models;
using Trainer.Models.Parts;
using static TorchSharp.torch;

namespace Trainer.Engine.Quantize;

/// <summary>One expert's matrix in a stored tensor of all experts.</summary>
/// <param name="Entry">Name and shape that it has alone; its bytes are those of the expert, the other half of a matrix of gates and ups among them.</param>
/// <param name="Stored">Shape of those bytes.</param>
/// <param name="Block">The experts.</param>
/// <param name="Part">Gate, up or down.</param>
internal sealed unsafe record ExpertSlice(SafetensorsEntry Entry, long[] Stored, ExpertFeedForward Block, ExpertPart Part)
{
    /// <summary>Quantizes it as loading does.</summary>
    /// <exception cref="ModelException">Its type cannot be read, or a value is NaN or infinite.</exception>
    public Nf4Bytes Quantize(SafetensorsFile file, bool doubleQuantize)
    {
        var type = Entry.Dtype switch
        {
            SafetensorsDtype.F32 => ScalarType.Float32,
            SafetensorsDtype.BF16 => ScalarType.BFloat16,
            SafetensorsDtype.F16 => ScalarType.Float16,
            var other => throw new ModelException($"tensor '{Entry.Name}' of '{file.Path}' has type {other.Name()}; take a model in F32, F16 or BF16"),
        };
        var count = Stored[1] * Stored[2];
        if (!FiniteCheck.IsFinite(file.Pointer(Entry), count, Entry.Dtype))
            throw new ModelException($"tensor '{Entry.Name}' of '{file.Path}' holds NaN or infinity; the file is damaged, copy or download it again");
        using var all = TorchNative.FromBlob(file.Pointer(Entry), type, Stored);
        using var whole = PlainExperts.Of(Block, all, 0);
        var own = Part == ExpertPart.Down ? whole : PlainExperts.Half(Block, whole, Part);
        using var quantized = Nf4Weight.Quantize(own, doubleQuantize);
        return quantized.ToBytes(StoredValues.TorchName(Entry.Dtype));
    }
}
