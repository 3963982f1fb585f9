using Trainer.Checkpoints.Gguf;

namespace Trainer.Engine.Gguf;

/// <summary>How a model becomes a GGUF file.</summary>
public sealed record GgufModelOptions
{
    /// <summary>Type of the matrices: F32, F16, BF16 or Q8_0; vectors are F32 always.</summary>
    public GgufTensorType Type { get; init; } = GgufTensorType.F16;

    /// <summary>general.name; null takes the folder's.</summary>
    public string? Name { get; init; }

    /// <summary>Hears bytes written and bytes in all; null for nobody.</summary>
    public Action<long, long>? Progress { get; init; }
}
