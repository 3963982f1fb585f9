using System.Text;
using System.Text.Json;
using Trainer.Checkpoints.Json;

namespace Trainer.Checkpoints.Nf4;

/// <summary>The JSON that bitsandbytes stores beside an NF4 weight (tensor X.weight.quant_state.bitsandbytes__nf4, U8).</summary>
/// <param name="BlockSize">Values that share one scale.</param>
/// <param name="Dtype">Element type before quantization as PyTorch calls it: float32, float16, bfloat16.</param>
/// <param name="Shape">Shape before quantization.</param>
/// <param name="NestedBlockSize">Scales that share one nested scale, or null without double quantization.</param>
/// <param name="NestedOffset">What was subtracted from the scales before they were quantized, or null without double quantization.</param>
public sealed record Nf4QuantState(int BlockSize, string Dtype, long[] Shape, int? NestedBlockSize, float? NestedOffset)
{
    /// <summary>The bytes as bitsandbytes writes them (Python's json.dumps).</summary>
    public byte[] ToBytes()
    {
        var nested = NestedOffset is float offset
            ? $", \"nested_blocksize\": {NestedBlockSize}, \"nested_dtype\": \"float32\", \"nested_offset\": {PythonJson.Number(offset)}" : "";
        return Encoding.ASCII.GetBytes($"{{\"quant_type\": \"nf4\", \"blocksize\": {BlockSize}, \"dtype\": \"{Dtype}\", \"shape\": "
            + $"[{string.Join(", ", Shape)}]{nested}}}");
    }

    /// <summary>Reads and checks the bytes.</summary>
    /// <param name="bytes">Data of the tensor.</param>
    /// <param name="tensor">Its name, for the sentence.</param>
    /// <param name="expected">The type that it must be of.</param>
    /// <exception cref="BadFileException">Not JSON, of another type, or values out of range.</exception>
    public static Nf4QuantState Parse(ReadOnlySpan<byte> bytes, string tensor, string expected = "nf4")
    {
        try
        {
            using var document = JsonDocument.Parse(Encoding.UTF8.GetString(bytes));
            var root = document.RootElement;
            var type = root.GetProperty("quant_type").GetString() ?? "";
            if (type != expected)
                throw new BadFileException($"tensor '{tensor}' is quantized as '{type}', its name says {expected}; take the original model or an nf4 one");
            var isNested = root.TryGetProperty("nested_offset", out var offset);
            var state = new Nf4QuantState(root.GetProperty("blocksize").GetInt32(),
                root.TryGetProperty("dtype", out var dtype) ? dtype.GetString() ?? "" : "",
                [.. root.GetProperty("shape").EnumerateArray().Select(static side => side.GetInt64())],
                isNested ? root.GetProperty("nested_blocksize").GetInt32() : null, isNested ? offset.GetSingle() : null);
            return state.BlockSize > 0 && state.NestedBlockSize is null or > 0 && state.Shape.All(static side => side >= 0)
                ? state : throw new FormatException("a size is negative or 0");
        }
        catch (Exception fault) when (fault is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new BadFileException($"tensor '{tensor}' is not a readable quantization state: {fault.Message.Split('\n')[0].TrimEnd('.')}; copy or "
                + "download the file again", fault);
        }
    }
}
