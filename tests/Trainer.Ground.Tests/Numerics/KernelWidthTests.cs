using Trainer.Numerics;

namespace Trainer.Ground.Tests.Numerics;

public sealed class KernelWidthTests
{
    [SkippableTheory]
    [InlineData(null, KernelWidth.Vector512)]
    [InlineData("DOTNET_EnableAVX512", KernelWidth.Vector256)]
    [InlineData("DOTNET_EnableAVX2", KernelWidth.Vector128)]
    [InlineData("DOTNET_EnableHWIntrinsic", KernelWidth.Scalar)]
    public void A_process_with_wider_paths_switched_off_gives_the_same_bits(string? variable, KernelWidth expected)
    {
        Skip.IfNot(Kernels.IsSupported(KernelWidth.Vector512), "this processor has no AVX-512, so nothing can be switched off step by step");
        var hash = KernelChild.Report().Split(' ')[2];
        Assert.Equal($"{expected} 0 {hash}", KernelChild.Start(variable));
    }

    [Fact]
    public void No_width_of_this_machine_is_rejected() => Assert.Empty(Kernels.Rejected);

    [Fact]
    public void The_self_check_sees_a_single_wrong_bit()
    {
        var right = SelfCheck.Run(KernelWidth.Scalar);
        var wrong = SelfCheck.Run(KernelWidth.Scalar);
        Assert.Equal(right, wrong);
        wrong[^1] ^= 1;
        Assert.False(right.AsSpan().SequenceEqual(wrong));
        Assert.True(SelfCheck.Agrees(Kernels.Width));
    }
}
