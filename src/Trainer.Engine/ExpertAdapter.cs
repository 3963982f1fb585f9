namespace Trainer.Engine;

/// <summary>
/// A low-rank update of one matrix of all experts, as PEFT holds it for a parameter of three dimensions: expert e adds scale * B_e A_e x, where row e * rank +
/// j of A
/// [experts x rank, in] is row j of A_e, and column j * experts + e of B [out, rank x experts] is column j of B_e.
/// </summary>
public sealed class ExpertAdapter
{
    /// <summary>Rank r of each expert's update.</summary>
    public required int Rank { get; init; }

    /// <summary>alpha / r, or alpha / sqrt(r) with rsLoRA.</summary>
    public required double Scale { get; init; }

    /// <summary>A, [experts x rank, in].</summary>
    public required ParameterEntry A { get; init; }

    /// <summary>B, [out, rank x experts].</summary>
    public required ParameterEntry B { get; init; }
}
