namespace Trainer.Checkpoints.Folders;

/// <summary>What a model folder will hold.</summary>
public sealed record ModelFolderPlan
{
    /// <summary>The folder to make; it must not exist, or be empty.</summary>
    public required string Target { get; init; }

    /// <summary>Every tensor, in the order in which they are made and laid over the shards.</summary>
    public required IReadOnlyList<TensorGroup> Groups { get; init; }

    /// <summary>Names everything that the bytes depend on: a work that was broken off is continued only under the same text.</summary>
    public required string Identity { get; init; }

    /// <summary>Largest shard in bytes; a single tensor may be larger.</summary>
    public long MaxShardBytes { get; init; } = 5_000_000_000;

    /// <summary>Whether every shard is read again and compared after it was written.</summary>
    public bool Verify { get; init; } = true;

    /// <summary>Hears bytes done and bytes in all; null for nobody.</summary>
    public Action<long, long>? Progress { get; init; }
}
