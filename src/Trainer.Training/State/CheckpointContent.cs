using System.Runtime.InteropServices;
using System.Text.Json;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Runs;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine;
using Trainer.Training.Optimizers;
using Trainer.Training.Steps;

namespace Trainer.Training.State;

/// <summary>A checkpoint read back: state, log history, and a way to the tensors.</summary>
/// <param name="Directory">Its folder.</param>
/// <param name="State">Everything beside the tensors.</param>
/// <param name="History">transformers' view of it.</param>
/// <param name="Manifest">run.json as it was when the checkpoint was written.</param>
internal sealed record CheckpointContent(string Directory, RunState State, TrainerState History, RunManifest Manifest)
{
    /// <summary>Values and the optimizer's state, by tensor: safetensors.</summary>
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
            using var document = JsonDocument.Parse(SmallFile.Bytes(path), RunJson.Document);
            var state = RunState.FromJson(document.RootElement);
            return new CheckpointContent(directory, state, TrainerState.Read(Path.Combine(directory, TrainerState.FileName)),
                RunManifest.Read(Path.Combine(directory, RunManifest.FileName)));
        }
        catch (Exception fault) when (RunJson.IsBadFile(fault))
        {
            throw new BadFileException($"checkpoint '{directory}': its {StateFile} cannot be read ({RunJson.Why(fault)}); use an earlier checkpoint", fault);
        }
    }

    /// <summary>Fills a checkpoint folder.</summary>
    public static void Write(string directory, RunState state, TrainerState history, RunManifest manifest, IAdaptedModel model, IOptimizer optimizer)
    {
        using (AveragedValues.In(model.Parameters, optimizer)) model.WriteAdapter(directory);
        WriteState(directory, state, history, manifest, model, optimizer);
    }

    /// <summary>Fills a folder with everything but the adapter's own files.</summary>
    public static void WriteState(string directory, RunState state, TrainerState history, RunManifest manifest, IAdaptedModel model, IOptimizer optimizer)
    {
        WriteTensors(Path.Combine(directory, TensorsFile), model, optimizer);
        File.WriteAllText(Path.Combine(directory, StateFile), JsonSerializer.Serialize(state, RunJson.Options) + "\n");
        File.WriteAllText(Path.Combine(directory, TrainerState.FileName), history.ToJson());
        File.WriteAllText(Path.Combine(directory, RunManifest.FileName), JsonSerializer.Serialize(manifest, RunJson.Options) + "\n");
    }

    /// <summary>Fills model and optimizer with the checkpoint's values and state, matching every tensor by name.</summary>
    /// <exception cref="BadFileException">A tensor is missing, surplus or of another shape.</exception>
    public void Restore(IAdaptedModel model, IOptimizer optimizer)
    {
        using var file = SafetensorsFile.Open(Path.Combine(Directory, TensorsFile));
        // All are looked for before the first is read: a checkpoint that does not fit changes nothing.
        var values = model.Parameters.Tensors.Select(tensor => (Tensor: tensor, Entry: Wanted(file, Declaration(tensor)))).ToList();
        var states = optimizer.State.Select(state => (State: state, Entry: Wanted(file, Declaration(state)))).ToList();
        if (file.Entries.Count != model.Parameters.Tensors.Count + optimizer.State.Count)
        {
            throw new BadFileException(
                $"checkpoint '{Directory}' holds {file.Entries.Count} tensors of values and optimizer state, this run "
                + $"has {model.Parameters.Tensors.Count + optimizer.State.Count}: "
                + "it is of another adapter or optimizer; resume it with the options it was made with");
        }
        foreach (var (tensor, entry) in values)
            foreach (var (first, count) in Parts(entry.ByteCount))
                model.Parameters.Write(tensor.Offset + (first / sizeof(float)), MemoryMarshal.Cast<byte, float>(file.Bytes(entry, first, count)));
        foreach (var (state, entry) in states)
            foreach (var (first, count) in Parts(entry.ByteCount)) file.Bytes(entry, first, count).CopyTo(state.Part(first, count));
    }

    private static TensorDeclaration Declaration(ParameterEntry tensor) => new("value." + tensor.Name, SafetensorsDtype.F32, [.. tensor.Shape]);

    private static TensorDeclaration Declaration(StateTensor state) => new(state.Name, state.Dtype, state.Shape);

    private static void WriteTensors(string path, IAdaptedModel model, IOptimizer optimizer)
    {
        var tensors = model.Parameters.Tensors;
        var values = model.Parameters.HostValues();
        using var writer = SafetensorsWriter.Create(path, [.. tensors.Select(Declaration), .. optimizer.State.Select(Declaration)],
            SafetensorsWriter.PyTorchMetadata);
        foreach (var tensor in tensors)
        {
            foreach (var (first, count) in Parts(tensor.Count * sizeof(float)))
                writer.Write("value." + tensor.Name, MemoryMarshal.AsBytes(values.Span(tensor.Offset + (first / sizeof(float)), count / sizeof(float))));
        }
        foreach (var state in optimizer.State)
        {
            foreach (var (first, count) in Parts(state.ByteCount)) writer.Write(state.Name, state.Part(first, count));
        }
        writer.Complete();
    }

    /// <summary>Parts of a tensor: one of 2 GiB and more, such as a trained head of a 7B model, is more than a span can hold.</summary>
    internal static IEnumerable<(long First, int Count)> Parts(long bytes)
    {
        const int Most = 4 << 20;
        for (long first = 0; first < bytes; first += Most) yield return (first, (int)Math.Min(Most, bytes - first));
    }

    private SafetensorsEntry Wanted(SafetensorsFile file, TensorDeclaration wanted)
    {
        if (!file.Tensors.TryGetValue(wanted.Name, out var entry) || entry.Dtype != wanted.Dtype || !entry.Shape.AsSpan().SequenceEqual(wanted.Shape.AsSpan()))
        {
            throw new BadFileException(
                $"checkpoint '{Directory}' has no {wanted.Dtype} tensor '{wanted.Name}' of shape [{string.Join(", ", wanted.Shape)}]: "
                + "it is of another adapter or optimizer; resume it with the options it was made with");
        }
        return entry;
    }
}
