using Trainer.Engine.Fast.Libtorch;
using Trainer.Engine.Native;
using Trainer.Engine.Weights;
using static TorchSharp.torch;

namespace Trainer.Engine.Tests.Fast;

/// <summary>A 4-bit matrix decoded by libtorch's operations has the bits of the processor's decoder.</summary>
[Trait("ring", "model")]
public sealed unsafe class DeviceNf4Tests
{
    // Widths that are and are not whole blocks; more than 256 blocks, so that absmax values have several scales; an odd number of elements.
    [Theory]
    [InlineData(300, 96, true), InlineData(300, 96, false), InlineData(70, 90, true), InlineData(33, 65, true), InlineData(33, 65, false),
        InlineData(3, 7, true)]
    public void Every_row_has_the_processors_bits(int rows, int columns, bool doubleQuantize)
    {
        using var scope = NewDisposeScope();
        using var dense = new DenseWeight(randn(rows, columns, generator: new Generator(5)).DetachFromDisposeScope());
        using var weight = Nf4Weight.Quantize(dense, doubleQuantize);
        foreach (var keeps in (bool[])[true, false])
        {
            using var held = new DeviceWeights(new DeviceHeap(CPU), keeps);
            foreach (var (begin, count) in ((int, int)[])[(0, rows), (1, rows - 1), (rows / 2, 1)])
            {
                var exact = new float[count * columns];
                fixed (float* values = exact) weight.Materialize(begin, count, values);
                Assert.Equal(exact, held.Rows(weight, begin, count, ScalarType.Float32).data<float>().ToArray());
                var narrow = new ushort[count * columns];
                fixed (ushort* values = narrow) weight.MaterializeBFloat16(begin, count, values);
                var found = held.Rows(weight, begin, count, ScalarType.BFloat16);
                Assert.Equal(narrow, new ReadOnlySpan<ushort>(TorchMemory.Pointer(found), narrow.Length).ToArray());
            }
        }
    }
}
