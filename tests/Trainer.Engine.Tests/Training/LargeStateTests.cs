using Trainer.Numerics.Spans;
using Trainer.Training.Optimizers;
using Trainer.Training.State;

namespace Trainer.Engine.Tests.Training;

/// <summary>Trained tensors of 2 GiB and more: a head of half a billion values.</summary>
public class LargeStateTests
{
    [Fact]
    public void Parts_cover_a_tensor_of_any_size()
    {
        const long Bytes = (152064L * 3584 * 4) + 12;
        long next = 0;
        foreach (var (first, count) in CheckpointContent.Parts(Bytes))
        {
            Assert.Equal(next, first);
            next = first + count;
        }
        Assert.Equal(Bytes, next);
    }

    [Fact]
    [Trait("ring", "slow")]
    public void State_beyond_two_gibibytes_is_reached_to_its_last_byte()
    {
        // The system gives pages as they are touched: two of them here.
        using var array = new LongArray<float>(152064 * 3584);
        array[array.Length - 1] = 7;
        var state = StateTensor.Of("exp_avg.head", array);
        Assert.Equal(array.Length * 4, state.ByteCount);
        Assert.Equal(7, BitConverter.ToSingle(state.Part(state.ByteCount - 4, 4)));
        Assert.Throws<ArgumentOutOfRangeException>(() => state.Part(state.ByteCount - 3, 4).Length);
    }
}
