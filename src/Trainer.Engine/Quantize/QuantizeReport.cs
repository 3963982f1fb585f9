namespace Trainer.Engine.Quantize;

/// <summary>What was quantized.</summary>
/// <param name="Quantized">Weights in NF4.</param>
/// <param name="Kept">Tensors left as they were: embeddings, head, norms, biases.</param>
/// <param name="BytesBefore">Bytes of the source's tensors.</param>
/// <param name="BytesAfter">Bytes of the result's tensors.</param>
public sealed record QuantizeReport(int Quantized, int Kept, long BytesBefore, long BytesAfter);
