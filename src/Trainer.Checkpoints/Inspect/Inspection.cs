using Trainer.Checkpoints.Runs;

namespace Trainer.Checkpoints.Inspect;

/// <summary>What a file or folder is; the parts that apply are filled.</summary>
/// <param name="Path">What was looked at.</param>
/// <param name="Kind">model, adapter, checkpoint, run, gguf, safetensors.</param>
/// <param name="Model">Of a model folder.</param>
/// <param name="Adapter">Of an adapter, checkpoint or run folder.</param>
/// <param name="Checkpoint">Of a checkpoint folder.</param>
/// <param name="Checkpoints">Steps of the checkpoints of a run folder.</param>
/// <param name="Gguf">Of a GGUF file.</param>
/// <param name="Tensors">Tensors of whatever holds weights.</param>
public sealed record Inspection(string Path, string Kind, ModelSummary? Model = null, AdapterSummary? Adapter = null, Checkpoint? Checkpoint = null,
    IReadOnlyList<long>? Checkpoints = null,
    GgufSummary? Gguf = null, TensorSummary? Tensors = null);
