using System.Runtime.Intrinsics.X86;

namespace Trainer.Numerics.Half;

/// <summary>Whether this processor multiplies bfloat16 in hardware.</summary>
public static class BFloat16Units
{
    private const int Amx = 1 << 22;
    private const int Avx512 = 1 << 5;

    /// <summary>AVX512-BF16 or AMX-BF16 is there. Without either, libtorch's bfloat16 products take about five times float32's.</summary>
    public static bool ArePresent { get; } = Find();

    private static bool Find()
    {
        if (!X86Base.IsSupported || !Avx512F.IsSupported || X86Base.CpuId(0, 0).Eax < 7) return false;
        var (leaves, _, _, features) = X86Base.CpuId(7, 0);
        return (features & Amx) != 0 || (leaves >= 1 && (X86Base.CpuId(7, 1).Eax & Avx512) != 0);
    }
}
