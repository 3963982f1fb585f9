using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Safetensors;

namespace Trainer.Engine.Gguf;

/// <summary>A tensor of one number, which the file has among its keys.</summary>
internal sealed record GgufNumber(string Name, long[] Shape, float Value) : IGgufPart
{
    public TensorDeclaration Declaration => new(Name, SafetensorsDtype.F32, Shape);

    public bool IsCoded => false;

    public long ByteCount => sizeof(float);

    public void Copy(GgufFile file, SafetensorsWriter writer) => writer.Write(Name, BitConverter.GetBytes(Value));
}
