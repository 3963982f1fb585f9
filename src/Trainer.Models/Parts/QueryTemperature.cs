namespace Trainer.Models.Parts;

/// <summary>Queries at position t are multiplied by 1 + slope * ln(1 + floor((t + shift) / period)).</summary>
/// <param name="Slope">Growth with the logarithm.</param>
/// <param name="Period">Positions in which the multiplier stays.</param>
/// <param name="Shift">Added to the position, which counts from 0.</param>
public sealed record QueryTemperature(double Slope, double Period, int Shift)
{
    /// <summary>The multiplier.</summary>
    /// <param name="position">From 0.</param>
    public float At(int position) => (float)(1 + Slope * Math.Log(1 + Math.Floor((position + (double)Shift) / Period)));
}
