namespace Trainer.Models.Lora;

/// <summary>How fresh adapter tensors are filled; B is always 0, so a fresh adapter changes nothing.</summary>
public enum AdapterInit
{
    /// <summary>A uniform in +-1/sqrt(in): PEFT's Kaiming uniform with a = sqrt(5).</summary>
    Kaiming,
    /// <summary>A normal with standard deviation 1/rank.</summary>
    Gaussian,
}
