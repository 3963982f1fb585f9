using System.Runtime.InteropServices;
using System.Text.Json;
using Trainer.Checkpoints;
using Trainer.Engine;
using Trainer.Models;

namespace Trainer.Training;

/// <summary>A checkpoint read back: state, log history, and a way to the tensors.</summary>
/// <param name="Directory">Its folder.</param>
/// <param name="State">Everything beside the tensors.</param>
/// <param name="History">transformers' view of it.</param>
/// <param name="Manifest">run.json as it was when the checkpoint was written.</param>
internal sealed record CheckpointContent(string Directory, RunState State, TrainerState History, RunManifest Manifest)
{
    /// <summary>Values and moments, by tensor: safetensors, float32.</summary>
    public const string TensorsFile = "trainer_state.safetensors";

    /// <summary>The state beside the tensors.</summary>
    public const string StateFile = "run_state.json";

    /// <summary>Reads a checkpoint, after verifying every byte of it.</summary>
    /// <exception cref="BadFileException">It is damaged.</exception>
    public static CheckpointContent Read(string directory)
    {
        CheckpointFolder.Verify(directory);
        return ReadState(directory);
    }

    /// <summary>Reads a folder that <see cref="WriteState"/> filled.</summary>
    public static CheckpointContent ReadState(string directory)
    {
        var path = Path.Combine(directory, StateFile);
        try
        {
            var state = RunState.FromJson(JsonDocument.Parse(File.ReadAllBytes(path)).RootElement);
            return new CheckpointContent(directory, state, TrainerState.Read(Path.Combine(directory, TrainerState.FileName)), RunManifest.Read(Path.Combine(directory, RunManifest.FileName)));
        }
        catch (Exception fault) when (fault is JsonException or FileNotFoundException)
        {
            throw new BadFileException($"checkpoint '{directory}': its {StateFile} cannot be read ({fault.Message.TrimEnd('.')}); use an earlier checkpoint", fault);
        }
    }

    /// <summary>Fills a checkpoint folder.</summary>
    public static void Write(string directory, RunState state, TrainerState history, RunManifest manifest, IAdaptedModel model, AdamW optimizer)
    {
        model.WriteAdapter(directory);
        WriteState(directory, state, history, manifest, model, optimizer);
    }

    /// <summary>Fills a folder with everything but the adapter's own files.</summary>
    public static void WriteState(string directory, RunState state, TrainerState history, RunManifest manifest, IAdaptedModel model, AdamW optimizer)
    {
        WriteTensors(Path.Combine(directory, TensorsFile), model, optimizer);
        File.WriteAllText(Path.Combine(directory, StateFile), JsonSerializer.Serialize(state, RunJson.Options) + "\n");
        File.WriteAllText(Path.Combine(directory, TrainerState.FileName), history.ToJson());
        File.WriteAllText(Path.Combine(directory, RunManifest.FileName), JsonSerializer.Serialize(manifest, RunJson.Options) + "\n");
    }

    /// <summary>Fills model and optimizer with the checkpoint's values and moments, matching every tensor by name.</summary>
    /// <exception cref="BadFileException">A tensor is missing, surplus or of another shape.</exception>
    public void Restore(IAdaptedModel model, AdamW optimizer)
    {
        using var file = SafetensorsFile.Open(Path.Combine(Directory, TensorsFile));
        foreach (var tensor in model.Tensors)
        {
            Fill(file, "value." + tensor.Name, tensor, model.Values);
            Fill(file, "exp_avg." + tensor.Name, tensor, optimizer.FirstMoments);
            Fill(file, "exp_avg_sq." + tensor.Name, tensor, optimizer.SecondMoments);
        }
        if (file.Entries.Count != 3 * model.Tensors.Count)
            throw new BadFileException($"checkpoint '{Directory}' holds {file.Entries.Count / 3} trained tensors, this run has {model.Tensors.Count}: it is of another adapter; resume it with the options it was made with");
    }

    private static void WriteTensors(string path, IAdaptedModel model, AdamW optimizer)
    {
        string[] kinds = ["value.", "exp_avg.", "exp_avg_sq."];
        var declarations = kinds.SelectMany(kind => model.Tensors.Select(tensor => new TensorDeclaration(kind + tensor.Name, SafetensorsDtype.F32, [.. tensor.Shape])));
        using var writer = SafetensorsWriter.Create(path, declarations, SafetensorsWriter.PyTorchMetadata);
        foreach (var tensor in model.Tensors)
        {
            writer.Write("value." + tensor.Name, Bytes(model.Values, tensor));
            writer.Write("exp_avg." + tensor.Name, Bytes(optimizer.FirstMoments, tensor));
            writer.Write("exp_avg_sq." + tensor.Name, Bytes(optimizer.SecondMoments, tensor));
        }
        writer.Complete();
    }

    private static ReadOnlySpan<byte> Bytes(Span<float> buffer, ParameterEntry tensor) =>
        MemoryMarshal.AsBytes(buffer.Slice((int)tensor.Offset, (int)tensor.Count));

    private void Fill(SafetensorsFile file, string name, ParameterEntry tensor, Span<float> buffer)
    {
        if (!file.Tensors.TryGetValue(name, out var entry) || entry.Dtype != SafetensorsDtype.F32 || !entry.Shape.AsSpan().SequenceEqual([.. tensor.Shape]))
            throw new BadFileException($"checkpoint '{Directory}' has no float32 tensor '{name}' of shape [{string.Join(", ", tensor.Shape)}]: it is of another adapter; resume it with the options it was made with");
        file.Bytes(entry).CopyTo(MemoryMarshal.AsBytes(buffer.Slice((int)tensor.Offset, (int)tensor.Count)));
    }
}
