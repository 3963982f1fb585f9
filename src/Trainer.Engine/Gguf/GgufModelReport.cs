namespace Trainer.Engine.Gguf;

/// <summary>What was written.</summary>
/// <param name="Tensors">Number of tensors.</param>
/// <param name="Bytes">Bytes of the file.</param>
/// <param name="Notes">What a user should know, e.g. a sliding window that llama.cpp does not apply.</param>
public sealed record GgufModelReport(int Tensors, long Bytes, IReadOnlyList<string> Notes);
