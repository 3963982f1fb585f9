namespace Trainer.Models.Drawing;

/// <summary>The low-rank update of one module: y += scale * B A x, names of its tensors as PEFT writes them.</summary>
public sealed record LowRankUpdate
{
    /// <summary>Length of x: input features, or the vocabulary of an embedding.</summary>
    public required long Inputs { get; init; }

    /// <summary>Length of y: output features, or the width of an embedding.</summary>
    public required long Outputs { get; init; }

    /// <summary>Rank r.</summary>
    public required int Rank { get; init; }

    /// <summary>Experts whose updates lie together in A [experts x rank, inputs] and B [outputs, rank x experts]; 1 of a single module.</summary>
    public int Experts { get; init; } = 1;

    /// <summary>alpha, as adapter_config.json holds it.</summary>
    public required double Alpha { get; init; }

    /// <summary>alpha / r, or alpha / sqrt(r) with rsLoRA.</summary>
    public required double Scale { get; init; }

    /// <summary>Probability with which an element of x is dropped.</summary>
    public double Dropout { get; init; }

    /// <summary>A stable number of the module, part of the dropout mask's key.</summary>
    public int Index { get; init; }

    /// <summary>Name of A [rank, inputs].</summary>
    public required string A { get; init; }

    /// <summary>Name of B [outputs, rank].</summary>
    public required string B { get; init; }

    /// <summary>Name of B's bias [outputs], or null.</summary>
    public string? BiasB { get; init; }

    /// <summary>Name of DoRA's magnitude [outputs], or null.</summary>
    public string? Magnitude { get; init; }

    /// <summary>Its tensors in the order of the parameter buffer.</summary>
    public IEnumerable<(string Name, long[] Shape)> Tensors
    {
        get
        {
            yield return (A, [(long)Experts * Rank, Inputs]);
            yield return (B, [Outputs, (long)Rank * Experts]);
            if (BiasB is not null) yield return (BiasB, [Outputs]);
            if (Magnitude is not null) yield return (Magnitude, [Outputs]);
        }
    }
}
