using System.Globalization;
using System.Text.Json.Serialization;

namespace Trainer.Training.Proof;

/// <summary>What the proof of a device came to.</summary>
/// <param name="Device">Name, driver and libtorch of the device, see <c>ComputeDevice.Identity</c>.</param>
/// <param name="Rows">The comparisons, without the kernels that were switched off.</param>
/// <param name="SwitchedOff">Operations whose kernels of our own differ: the device's own compute them.</param>
public sealed record ProofOutcome(string Device, IReadOnlyList<ProofRow> Rows, IReadOnlyList<string> SwitchedOff)
{
    /// <summary>Whether the device computes what the processor does.</summary>
    [JsonIgnore]
    public bool Holds => Rows.Count > 0 && Rows.All(row => row.Holds);

    /// <summary>The comparisons in one line.</summary>
    [JsonIgnore]
    public string Table => string.Join(", ", Rows.Select(row => string.Create(CultureInfo.InvariantCulture,
        $"{row.Name}: {row.Difference:0.0e+0} of {row.Gate:0e+0}{(row.Holds ? "" : " (TOO FAR)")}")));

    /// <summary>What is said of the kernels that were switched off; null where none was.</summary>
    [JsonIgnore]
    public string? OffNote => SwitchedOff.Count == 0 ? null
        : $"our own kernels for {string.Join(", ", SwitchedOff)} are switched off on {Device}: they differ from the processor there";
}
