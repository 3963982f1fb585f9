namespace Trainer.Training;

/// <summary>Whether a run made the same adapter again.</summary>
/// <param name="IsSame">Whether the adapter's bytes are the same.</param>
/// <param name="Expected">SHA-256 of the adapter of run.json.</param>
/// <param name="Found">SHA-256 of the adapter made now.</param>
/// <param name="Differences">What differs between then and now: files, threads, versions.</param>
/// <param name="Directory">The folder of the new run.</param>
public sealed record Reproduction(bool IsSame, string Expected, string Found, IReadOnlyList<string> Differences, string Directory);
