namespace Trainer.Models.Lora;

/// <summary>How fresh adapter tensors are filled; a fresh adapter changes nothing, but for LoftQ's, which makes up for what quantization lost.</summary>
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
    /// <summary>The best low-rank part of what quantization lost (arXiv 2310.08659).</summary>
    Loftq,
    /// <summary>A in the principal directions of what the layers read (arXiv 2410.07170), B 0.</summary>
    Eva,
}
