using System.Text.Json.Serialization;

namespace Trainer.Training.Proof;

/// <summary>One comparison of a device with the processor.</summary>
/// <param name="Name">What was compared.</param>
/// <param name="Difference">The largest difference.</param>
/// <param name="Gate">What is allowed.</param>
public sealed record ProofRow(
    string Name, [property: JsonNumberHandling(JsonNumberHandling.AllowNamedFloatingPointLiterals)] double Difference, double Gate)
{
    /// <summary>Whether they agree; what is not a number is no agreement.</summary>
    [JsonIgnore]
    public bool Holds => Difference <= Gate;
}
