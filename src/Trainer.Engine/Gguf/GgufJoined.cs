using System.Runtime.InteropServices;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Weights.Stored;

namespace Trainer.Engine.Gguf;

/// <summary>A matrix of the folder whose rows lie in several tensors of the file. Where all have blocks of one type and none is turned, rows keep their blocks;
/// else the matrix becomes float32.</summary>
internal sealed record GgufJoined(string Name, long[] Shape, IReadOnlyList<(GgufPlace Place, GgufTensor Source)> Sources) : IGgufPart
{
    public bool IsCoded => Type is { } type && GgufDecoder.Types.Contains(type);

    public long ByteCount => Shape[0] * RowBytes;

    public TensorDeclaration Declaration => IsCoded
        ? new(GgufLayout.NameOf(Name, Type!.Value), SafetensorsDtype.U8, [Shape[0], RowBytes]) : new(Name, SafetensorsDtype.F32, Shape);

    // The one type of rows that are copied as they are.
    private GgufTensorType? Type => Sources.All(one => one.Source.Type == Sources[0].Source.Type && one.Place.TurnedRows == 0) ? Sources[0].Source.Type : null;

    private long RowBytes => IsCoded ? Type!.Value.ByteCount([Shape[1]])!.Value : 4 * Shape[1];

    public void Copy(GgufFile file, SafetensorsWriter writer)
    {
        var all = new byte[ByteCount];
        foreach (var (place, source) in Sources)
        {
            var from = IsCoded ? file.Read(source) : Floats(file, place, source);
            for (var row = 0; row < place.Rows!.Length; row++)
                from.AsSpan((int)(row * RowBytes), (int)RowBytes).CopyTo(all.AsSpan((int)(place.Rows[row] * RowBytes)));
        }
        writer.Write(Declaration.Name, all);
    }

    private static byte[] Floats(GgufFile file, GgufPlace place, GgufTensor source)
    {
        var values = GgufDecoder.Floats(source.Type, file.Read(source));
        if (place.TurnedRows > 0) values = GgufTurn.Blocks(values, (int)place.RowLength, place.TurnedRows);
        return MemoryMarshal.AsBytes<float>(values).ToArray();
    }
}
