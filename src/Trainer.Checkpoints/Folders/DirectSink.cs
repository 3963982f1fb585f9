using Trainer.Checkpoints.Safetensors;

namespace Trainer.Checkpoints.Folders;

/// <summary>Puts tensors whose sizes were known straight into their file.</summary>
internal sealed class DirectSink(SafetensorsWriter writer) : TensorSink
{
    public override void Write(TensorDeclaration tensor, ReadOnlySpan<byte> bytes) => writer.Write(tensor.Name, bytes);
}
