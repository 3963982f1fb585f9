using Trainer.Checkpoints.Runs;
using Trainer.Checkpoints.Safetensors;
using Trainer.Models.Config;

namespace Trainer.Training.Plan;

/// <summary>What a run brings onto disks, and whether they have room for it.</summary>
internal sealed class PlanDisk
{
    private readonly List<(MemoryPart Part, string Path)> _parts;
    private readonly bool _isAbsent;

    /// <param name="options">The run.</param>
    /// <param name="config">Its model.</param>
    /// <param name="checkpointBytes">Checkpoints and the final adapter.</param>
    /// <param name="streamedBytes">The base as it is streamed; null where it is not.</param>
    /// <param name="baseParameters">Parameters of the base.</param>
    public PlanDisk(TrainingOptions options, ModelConfig config, long checkpointBytes, long? streamedBytes, long baseParameters)
    {
        _parts = [(new("checkpoints and adapter", checkpointBytes), options.OutputDirectory)];
        if (streamedBytes is { } bytes && StreamedFolder.MayBeMissing(options, config))
            _parts.Add((new("4-bit folder to stream from", bytes), UserCache.Folder));
        _isAbsent = IsAbsent(options.ModelDirectory);
        if (_isAbsent) _parts.Add((new("weights to download", DownloadBytes(config, baseParameters)), options.ModelDirectory));
    }

    /// <summary>Part by part.</summary>
    public IReadOnlyList<MemoryPart> Parts => [.. _parts.Select(each => each.Part)];

    /// <summary>Whether each disk has room for what a run here would write. Where the weights are not here the plan may be for another machine: then
    /// checkpoints alone count.</summary>
    /// <param name="freed">Bytes that the start of the run frees where its folder lies.</param>
    public bool Suffices(long freed) => HaveRoom(_isAbsent ? _parts.GetRange(0, 1) : _parts, freed);

    /// <summary>Where the weights are not here, whether they and all that follows have room; null otherwise.</summary>
    /// <param name="freed">Bytes that the start of the run frees where its folder lies.</param>
    public string? Note(long freed) => _isAbsent && !HaveRoom(_parts, freed)
        ? "this machine's disk has no room for all "
            + $"of {Size.Of(Parts.Sum(part => part.Bytes))}: {string.Join(", ", Parts.Select(part => $"{part.Name} {Size.Of(part.Bytes)}"))}" : null;

    private bool HaveRoom(List<(MemoryPart Part, string Path)> parts, long freed)
    {
        // Disks have no name that all systems tell: two that are as large and as full to the byte are one.
        foreach (var disk in parts.GroupBy(each => DiskSpace.Identity(each.Path)))
        {
            var holdsRun = disk.Any(each => each.Part == _parts[0].Part);
            if (disk.Key is { } room && disk.Sum(each => each.Part.Bytes) > room.Free + (holdsRun ? freed : 0)) return false;
        }
        return true;
    }

    private static bool IsAbsent(string folder)
        => !Directory.EnumerateFiles(folder, "*.safetensors").Any() && !Directory.EnumerateFiles(folder, "*.safetensors.index.json").Any();

    // Nearly all models are published in 16 bits; those that are quantized say so themselves.
    private static long DownloadBytes(ModelConfig config, long parameters) => config.StoredQuantization switch
    {
        null => 2 * parameters,
        { IsNf4: true } => (long)(parameters * 0.55),
        _ => parameters,
    };
}
