using Trainer.Engine.Fast.Streaming;
using Trainer.Engine.Weights;
using Trainer.Models;

namespace Trainer.Engine.Tests.Fast;

/// <summary>Requests to a device that answers late.</summary>
[Trait("ring", "model")]
public sealed unsafe class BlockReadsTests
{
    private const long Part = 8 << 20;

    [Fact]
    public void Several_requests_are_in_flight_in_their_order_and_the_bytes_are_the_files()
    {
        const long begin = 3 * 4096, needed = 6 * Part + 5000, length = 6 * Part + 8192;
        using var file = new SlowFile(begin + needed, BlockReads.Flights);
        using var block = NativeBlock.OnLargePages(length);
        List<BlockRequest> requests = [.. BlockReads.Cut(file, begin, (IntPtr)block.Start, length, needed)];
        Assert.Equal(7, requests.Count);
        Assert.Equal((8192, 5000), (requests[^1].Length, requests[^1].Needed));

        BlockReads.Run(requests, default);

        Assert.Equal(BlockReads.Flights, file.Most);
        Assert.Equal([.. requests.Select(request => request.Offset)], file.Offsets.Order());
        // The first ones began before any other.
        Assert.Equal([.. requests.Take(BlockReads.Flights).Select(request => request.Offset)], file.Offsets.Take(BlockReads.Flights).Order());
        for (long i = 0; i < needed; i++)
            if (block.Start[i] != SlowFile.At(begin + i)) Assert.Fail($"byte {i}");
    }

    [Fact]
    public void A_single_request_needs_no_other_thread()
    {
        using var file = new SlowFile(4096, 1);
        using var block = NativeBlock.OnLargePages(4096);
        BlockReads.Run([.. BlockReads.Cut(file, 0, (IntPtr)block.Start, 4096, 4096)], default);
        Assert.Equal((1, SlowFile.At(77)), (file.Most, block.Start[77]));
        BlockReads.Run([], default);
    }

    [Fact]
    public void Of_several_faults_that_of_the_earliest_request_is_told_and_the_rest_is_left_out()
    {
        using var file = new SlowFile(40 * Part, BlockReads.Flights) { FailsAt = 2 * Part };
        using var block = NativeBlock.OnLargePages(40 * Part);
        List<BlockRequest> requests = [.. BlockReads.Cut(file, 0, (IntPtr)block.Start, 40 * Part, 40 * Part)];
        var fault = Assert.Throws<ModelException>(() => BlockReads.Run(requests, default));
        Assert.Equal($"cannot read 'slow device' at byte {2 * Part}: input/output error", fault.Message);
        Assert.True(file.Offsets.Count < 20, $"{file.Offsets.Count} requests");
    }

    [Fact]
    public void Asked_to_stop_it_begins_nothing_more()
    {
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        using var file = new SlowFile(40 * Part, 1);
        using var block = NativeBlock.OnLargePages(Part);
        Assert.Throws<OperationCanceledException>(() => BlockReads.Run([.. BlockReads.Cut(file, 0, (IntPtr)block.Start, 40 * Part, 40 * Part)], stop.Token));
        Assert.Empty(file.Offsets);
    }
}
