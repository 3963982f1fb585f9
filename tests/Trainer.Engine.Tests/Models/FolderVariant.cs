using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Safetensors;

namespace Trainer.Engine.Tests.Models;

/// <summary>A copy of a model folder with the same numbers under other names, in other layouts or beside another config.json.</summary>
internal sealed class FolderVariant : IDisposable
{
    private readonly List<(string Name, SafetensorsDtype Dtype, long[] Shape, byte[] Bytes)> _tensors = [];

    public FolderVariant(string original)
    {
        Config = (JsonObject)JsonNode.Parse(File.ReadAllText(Path.Combine(original, "config.json")))!;
        foreach (var path in Directory.GetFiles(original, "model*.safetensors"))
        {
            using var file = SafetensorsFile.Open(path);
            foreach (var entry in file.Entries) _tensors.Add((entry.Name, entry.Dtype, [.. entry.Shape], file.Bytes(entry).ToArray()));
        }
    }

    /// <summary>config.json, to be changed.</summary>
    public JsonObject Config { get; set; }

    /// <summary>Where it is written.</summary>
    public string Folder { get; } = Directory.CreateTempSubdirectory("folder-variant-").FullName;

    /// <summary>Names of the tensors.</summary>
    public IReadOnlyList<string> Names => [.. _tensors.Select(tensor => tensor.Name)];

    /// <summary>The object that describes the text model.</summary>
    public JsonObject Text => Config["text_config"] as JsonObject ?? Config;

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    /// <summary>Gives every tensor another name; null leaves it out.</summary>
    public FolderVariant Rename(Func<string, string?> name)
    {
        var renamed = _tensors.Select(tensor => (Name: name(tensor.Name), tensor.Dtype, tensor.Shape, tensor.Bytes)).Where(tensor => tensor.Name is not null)
            .ToList();
        _tensors.Clear();
        _tensors.AddRange(renamed!);
        return this;
    }

    /// <summary>Takes a tensor out.</summary>
    public (SafetensorsDtype Dtype, long[] Shape, byte[] Bytes) Take(string name)
    {
        var at = _tensors.FindIndex(tensor => tensor.Name == name);
        var (_, dtype, shape, bytes) = _tensors[at];
        _tensors.RemoveAt(at);
        return (dtype, shape, bytes);
    }

    /// <summary>The values of a float32 tensor, which is taken out.</summary>
    public float[] TakeFloats(string name) => MemoryMarshal.Cast<byte, float>(Take(name).Bytes).ToArray();

    public FolderVariant Put(string name, SafetensorsDtype dtype, long[] shape, byte[] bytes)
    {
        _tensors.Add((name, dtype, shape, bytes));
        return this;
    }

    public FolderVariant Put(string name, long[] shape, float[] values)
        => Put(name, SafetensorsDtype.F32, shape, MemoryMarshal.AsBytes(values.AsSpan()).ToArray());

    /// <summary>Writes the folder.</summary>
    public string Write()
    {
        File.WriteAllText(Path.Combine(Folder, "config.json"), Config.ToJsonString());
        using var writer = SafetensorsWriter.Create(Path.Combine(Folder, ShardedModel.SingleFile),
            _tensors.Select(tensor => new TensorDeclaration(tensor.Name, tensor.Dtype, tensor.Shape)), SafetensorsWriter.PyTorchMetadata);
        foreach (var (name, _, _, bytes) in _tensors) writer.Write(name, bytes);
        writer.Complete();
        return Folder;
    }
}
