using Trainer.Numerics;
using Trainer.Numerics.Int8;

namespace Trainer.Ground.Tests.Numerics;

[Trait("ring", "unit")]
public sealed unsafe class Int8RescaleTests
{
    [Fact]
    public void A_row_of_an_integer_product_comes_back_the_same_at_every_width()
    {
        var random = new Random(3);
        for (var count = 0; count < 40; count++)
        {
            int[] sums = [.. Enumerable.Range(0, count + 1).Select(_ => random.Next(-1_000_000, 1_000_000))];
            float[] columns = [.. sums.Select(_ => random.NextSingle())];
            foreach (var width in Enum.GetValues<KernelWidth>())
            {
                var output = new float[count + 1];
                output[count] = 42f;
                fixed (int* s = sums)
                fixed (float* c = columns, o = output) Int8Rows.Rescale(width, s, 0.25f, c, o, count);
                for (var i = 0; i < count; i++) Assert.Equal(sums[i] * (0.25f * columns[i]), output[i]);
                Assert.Equal(42f, output[count]);
            }
        }
    }
}
