using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Trainer.Numerics;

/// <summary>Which width every kernel runs at on this machine: decided once, after a comparison with the scalar specification.</summary>
/// <remarks>
/// <c>Vector512.IsHardwareAccelerated</c> is not asked: the runtime answers false on processors where it merely prefers 256 bits,
/// although the instructions are there and pay off in these kernels.
/// </remarks>
public static class Kernels
{
    private static readonly Lazy<(KernelWidth Width, IReadOnlyList<KernelWidth> Rejected)> Choice = new(Choose);

    /// <summary>Whether a width gives the scalar specification's bits: SelfCheck's answer, handed over when the library is loaded.</summary>
    internal static Func<KernelWidth, bool> Agrees { get; set; } = static _ => false;

    /// <summary>The width in use.</summary>
    public static KernelWidth Width => Choice.Value.Width;

    /// <summary>Widths the machine has but whose results differed from the scalar specification; empty on a sound machine.</summary>
    public static IReadOnlyList<KernelWidth> Rejected => Choice.Value.Rejected;

    /// <summary>Whether the processor and the runtime's switches allow a width.</summary>
    /// <param name="width">The width asked about.</param>
    public static bool IsSupported(KernelWidth width) => width switch
    {
        KernelWidth.Vector512 => Avx512F.IsSupported && Avx512BW.IsSupported && Avx512DQ.IsSupported && Avx512F.VL.IsSupported,
        KernelWidth.Vector256 => Avx2.IsSupported && Fma.IsSupported,
        KernelWidth.Vector128 => Vector128.IsHardwareAccelerated,
        _ => true,
    };

    private static (KernelWidth Width, IReadOnlyList<KernelWidth> Rejected) Choose()
    {
        var rejected = new List<KernelWidth>();
        foreach (var width in (KernelWidth[])[KernelWidth.Vector512, KernelWidth.Vector256, KernelWidth.Vector128])
        {
            if (!IsSupported(width)) continue;
            if (Agrees(width)) return (width, rejected);
            rejected.Add(width);
        }
        return (KernelWidth.Scalar, rejected);
    }
}
