namespace Trainer.Models.Parts;

/// <summary>What a folder calls the matrices of experts: each expert's own, or all experts in one tensor.</summary>
/// <param name="Gate">Module name of an expert's gate.</param>
/// <param name="Up">Module name of an expert's up.</param>
/// <param name="Down">Module name of an expert's down.</param>
/// <param name="AllGateUp">Tensor of all gates and ups [experts, 2 x width, hidden], gates first.</param>
/// <param name="AllDown">Tensor of all downs [experts, hidden, width].</param>
public sealed record ExpertNames(string Gate, string Up, string Down, string AllGateUp, string AllDown)
{
    /// <summary>As most families have them.</summary>
    public static ExpertNames Usual { get; } = new("gate_proj", "up_proj", "down_proj", "gate_up_proj", "down_proj");
}
