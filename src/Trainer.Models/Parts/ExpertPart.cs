namespace Trainer.Models.Parts;

/// <summary>A matrix of an expert.</summary>
public enum ExpertPart
{
    /// <summary>Gate and up together.</summary>
    GateUp,
    /// <summary>Gate alone.</summary>
    Gate,
    /// <summary>Up alone.</summary>
    Up,
    /// <summary>Down.</summary>
    Down,
}
