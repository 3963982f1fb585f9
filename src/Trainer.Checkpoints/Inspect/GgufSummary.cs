namespace Trainer.Checkpoints.Inspect;

/// <summary>What a GGUF file is.</summary>
/// <param name="Type">model or adapter.</param>
/// <param name="Architecture">general.architecture.</param>
/// <param name="Name">general.name, or null.</param>
/// <param name="Alpha">adapter.lora.alpha of an adapter, or null.</param>
/// <param name="Metadata">Number of metadata keys.</param>
public sealed record GgufSummary(string Type, string? Architecture, string? Name, float? Alpha, int Metadata);
