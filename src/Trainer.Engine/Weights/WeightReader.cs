namespace Trainer.Engine.Weights;

/// <summary>Reads elements of a matrix as float32.</summary>
/// <param name="begin">First element.</param>
/// <param name="values">Takes as many as it holds.</param>
public delegate void WeightReader(long begin, Span<float> values);
