using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Safetensors;
using Trainer.Models;

namespace Trainer.Engine.Weights.Stored;

/// <summary>Weights that keep the blocks of the GGUF file they came from: <c>PATH.gguf_TYPE</c>, U8 [rows, bytes of a row], in place of
/// <c>PATH.weight</c>.</summary>
internal static unsafe class GgufLayout
{
    private const string Mark = "gguf_";

    /// <summary>Name of the tensor that holds the blocks of a weight.</summary>
    /// <param name="name">Name of the weight, <c>PATH.weight</c>.</param>
    /// <param name="type">Its type.</param>
    public static string NameOf(string name, GgufTensorType type) => StoredMatrix.Part(name, Mark + type.ToString().ToLowerInvariant());

    /// <summary>The type a weight is stored in, or null.</summary>
    public static GgufTensorType? TypeOf(WeightFiles files, string name)
    {
        foreach (var type in GgufDecoder.Types)
            if (files.Has(NameOf(name, type))) return type;
        return null;
    }

    /// <summary>The weight whose blocks a tensor holds, and their type; null for other tensors.</summary>
    public static (string Name, GgufTensorType Type)? OwnerOf(string tensor)
    {
        var at = tensor.LastIndexOf('.') + 1;
        if (!tensor.AsSpan(at).StartsWith(Mark, StringComparison.Ordinal)) return null;
        foreach (var type in GgufDecoder.Types)
            if (tensor.AsSpan(at + Mark.Length).Equals(type.ToString(), StringComparison.OrdinalIgnoreCase)) return (tensor[..at] + "weight", type);
        return null;
    }

    /// <summary>The matrix.</summary>
    /// <exception cref="ModelException">It is missing, of another shape, or a block's scale is not finite; the tensor is named.</exception>
    public static GgufWeight Read(WeightFiles files, string name, long rows, long columns)
    {
        var type = TypeOf(files, name) ?? throw WeightFiles.Missing(name, files.Folder);
        var (elements, bytes) = type.Block()!.Value;
        var tensor = NameOf(name, type);
        if (columns % elements != 0) throw StoredMatrix.Damaged(files, tensor, $"{columns} input features are no multiple of {elements}");
        long[] shape = [rows, columns / elements * bytes];
        var found = files.Entry(tensor).Shape;
        if (!shape.SequenceEqual(found))
            throw StoredMatrix.Damaged(files, tensor, $"its shape is [{string.Join(", ", found)}], config.json needs [{string.Join(", ", shape)}]");
        var codes = files.TakePointer(tensor, SafetensorsDtype.U8, shape[0] * shape[1]);
        for (long block = 0; block < shape[0] * shape[1] / bytes; block++)
            if (!GgufDecoder.IsFinite(type, codes + block * bytes)) throw StoredMatrix.Damaged(files, tensor, $"the scale of block {block} is not finite");
        return new GgufWeight(type, rows, columns, codes);
    }
}
