using Trainer.Data;

namespace Trainer.Training.Steps;

/// <summary>What a fresh adapter takes from the run's rows where its start asks them (EVA).</summary>
/// <param name="Ranks">What they came to when the run began; null where it begins now.</param>
/// <param name="Rows">The rows, in the order of the run; null where nothing is trained, and the largest shape stands for the one they would give.</param>
internal sealed record AdapterBeginning(IReadOnlyDictionary<string, int>? Ranks, Func<IEnumerable<MicroBatch>>? Rows);
