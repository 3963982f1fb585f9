namespace Trainer.Checkpoints.Inspect;

/// <summary>What an adapter is and who loads it.</summary>
/// <param name="Config">Its config.</param>
/// <param name="Ranks">The ranks that occur, ascending.</param>
/// <param name="Modules">Kinds of modules with A and B, e.g. q_proj.</param>
/// <param name="LayerCount">Layers that carry an adapter.</param>
/// <param name="Readers">Who loads it.</param>
public sealed record AdapterSummary(AdapterConfig Config, IReadOnlyList<long> Ranks, IReadOnlyList<string> Modules, int LayerCount,
    IReadOnlyList<ReaderVerdict> Readers);
