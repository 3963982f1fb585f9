namespace Trainer.Models.Lora;

/// <summary>How fresh adapter tensors are filled; whichever way, a fresh adapter changes nothing.</summary>
public enum AdapterInit
{
    /// <summary>A uniform in +-1/sqrt(in): PEFT's Kaiming uniform with a = sqrt(5).</summary>
    Kaiming,
    /// <summary>A normal with standard deviation 1/rank.</summary>
    Gaussian,
    /// <summary>The strongest directions of the weight (arXiv 2404.02948), taken off again by a frozen half.</summary>
    Pissa,
    /// <summary>The first directions of the weight's QR factors (arXiv 2406.01775), taken off again by a frozen half.</summary>
    Olora,
    /// <summary>Both factors drawn so that B A is 0.</summary>
    Orthogonal,
}
