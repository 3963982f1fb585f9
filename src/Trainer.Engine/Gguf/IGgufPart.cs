using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Safetensors;

namespace Trainer.Engine.Gguf;

/// <summary>A tensor of the folder that a GGUF file becomes.</summary>
internal interface IGgufPart
{
    /// <summary>Its declaration: blocks go by a name of their own.</summary>
    TensorDeclaration Declaration { get; }

    /// <summary>Whether it keeps the file's blocks.</summary>
    bool IsCoded { get; }

    /// <summary>Bytes in the folder.</summary>
    long ByteCount { get; }

    /// <summary>Copies the values.</summary>
    /// <param name="file">The file.</param>
    /// <param name="writer">The folder's weights.</param>
    void Copy(GgufFile file, SafetensorsWriter writer);
}
