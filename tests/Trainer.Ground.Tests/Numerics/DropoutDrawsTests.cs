using Trainer.Numerics;
using Trainer.Numerics.Draws;

namespace Trainer.Ground.Tests.Numerics;

public sealed unsafe class DropoutDrawsTests
{
    public static TheoryData<KernelWidth> Widths => [.. Enum.GetValues<KernelWidth>().Where(Kernels.IsSupported)];

    [Theory, MemberData(nameof(Widths))]
    public void Every_width_and_every_split_draws_the_same_bits(KernelWidth width)
    {
        // Places around where the counter wraps, lengths around a register's.
        foreach (var place in new[] { 0ul, 12345ul, ulong.MaxValue - 20, 0x8000_0000_0000_0000 - 7 })
        {
            foreach (var probability in new[] { 0, 0.05, 0.5, 0.999, 1 })
            {
                var (drop, keep) = ((ulong)(probability * (1L << 32)), (float)(1 / (1 - Math.Min(probability, 0.9999))));
                float[] expected = new float[100], whole = new float[100], parts = new float[100];
                for (var i = 0; i < expected.Length; i++) expected[i] = SplitMix64.Mix(place + (ulong)i) >> 32 < drop ? 0f : keep;
                fixed (float* all = whole, some = parts)
                {
                    DropoutDraws.Fill(width, all, place, 0, whole.Length, drop, keep);
                    foreach (var (begin, end) in new[] { (0, 1), (1, 18), (18, 18), (18, 50), (50, 97), (97, 100) })
                        DropoutDraws.Fill(width, some, place, begin, end, drop, keep);
                }
                Assert.Equal(expected, whole);
                Assert.Equal(expected, parts);
            }
        }
    }

    [Fact]
    public void Nothing_outside_the_range_is_written()
    {
        var mask = Enumerable.Repeat(7f, 64).ToArray();
        fixed (float* at = mask) DropoutDraws.Fill(at, 3, 9, 43, 1ul << 31, 2);
        Assert.All(mask[..9].Concat(mask[43..]), value => Assert.Equal(7, value));
        Assert.All(mask[9..43], value => Assert.True(value is 0 or 2));
    }
}
