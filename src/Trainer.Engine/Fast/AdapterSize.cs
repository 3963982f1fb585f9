namespace Trainer.Engine.Fast;

/// <summary>Sizes of what the adapter of a linear keeps, the largest of all layers.</summary>
/// <param name="Rank">Rank, 0 where no layer has an adapter there.</param>
/// <param name="Magnitudes">Output features where the adapter has a magnitude (DoRA), else 0.</param>
internal readonly record struct AdapterSize(int Rank, long Magnitudes);
