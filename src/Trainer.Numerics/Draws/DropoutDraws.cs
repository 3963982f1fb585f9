using System.Runtime.Intrinsics;

namespace Trainer.Numerics.Draws;

/// <summary>The elements of a dropout mask: element i is dropped where the upper half of number (place + i) of <see cref="SplitMix64"/> is below a
/// limit.</summary>
public static unsafe class DropoutDraws
{
    /// <summary>Fills elements [begin, end) of a mask; any split of a mask gives the same bits.</summary>
    /// <param name="mask">The mask, from its element 0.</param>
    /// <param name="place">Place of element 0 among the numbers.</param>
    /// <param name="begin">First element.</param>
    /// <param name="end">One past the last.</param>
    /// <param name="drop">How many of 2^32 draws drop: at most 2^32.</param>
    /// <param name="keep">What the others become.</param>
    public static void Fill(float* mask, ulong place, long begin, long end, ulong drop, float keep) => Fill(Kernels.Width, mask, place, begin, end, drop, keep);

    internal static void Fill(KernelWidth width, float* mask, ulong place, long begin, long end, ulong drop, float keep)
    {
        switch (width)
        {
            case KernelWidth.Vector512: Fill512(mask, place, begin, end, drop, keep); break;
            case KernelWidth.Vector256: Fill256(mask, place, begin, end, drop, keep); break;
            default: Fill(mask, place, begin, end, drop, keep, 0); break;
        }
    }

    // The specification; the last argument tells it from the public one.
    private static void Fill(float* mask, ulong place, long begin, long end, ulong drop, float keep, int _)
    {
        for (var i = begin; i < end; i++) mask[i] = SplitMix64.Mix(place + (ulong)i) >> 32 < drop ? 0f : keep;
    }

    // Twins of the above, eight or four numbers at a time. The upper halves are below 2^32, so signed comparison will do; two results narrow to one row of
    // floats.
    private static void Fill512(float* mask, ulong place, long begin, long end, ulong drop, float keep)
    {
        var (limit, kept) = (Vector512.Create((long)drop), Vector512.Create(keep).AsInt32());
        var x = Vector512.Create(place + (ulong)begin) + Vector512.Create(0ul, 1, 2, 3, 4, 5, 6, 7);
        var i = begin;
        for (; i + 16 <= end; i += 16)
        {
            var low = Vector512.LessThan((Mix(x) >>> 32).AsInt64(), limit);
            var high = Vector512.LessThan((Mix(x + Vector512.Create(8ul)) >>> 32).AsInt64(), limit);
            Vector512.AndNot(kept, Vector512.Narrow(low, high)).AsSingle().Store(mask + i);
            x += Vector512.Create(16ul);
        }
        Fill(mask, place, i, end, drop, keep, 0);
    }

    private static void Fill256(float* mask, ulong place, long begin, long end, ulong drop, float keep)
    {
        var (limit, kept) = (Vector256.Create((long)drop), Vector256.Create(keep).AsInt32());
        var x = Vector256.Create(place + (ulong)begin) + Vector256.Create(0ul, 1, 2, 3);
        var i = begin;
        for (; i + 8 <= end; i += 8)
        {
            var low = Vector256.LessThan((Mix(x) >>> 32).AsInt64(), limit);
            var high = Vector256.LessThan((Mix(x + Vector256.Create(4ul)) >>> 32).AsInt64(), limit);
            Vector256.AndNot(kept, Vector256.Narrow(low, high)).AsSingle().Store(mask + i);
            x += Vector256.Create(8ul);
        }
        Fill(mask, place, i, end, drop, keep, 0);
    }

    private static Vector512<ulong> Mix(Vector512<ulong> x)
    {
        x += Vector512.Create(SplitMix64.Step);
        x = (x ^ (x >>> 30)) * Vector512.Create(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >>> 27)) * Vector512.Create(0x94D0_49BB_1331_11EB);
        return x ^ (x >>> 31);
    }

    private static Vector256<ulong> Mix(Vector256<ulong> x)
    {
        x += Vector256.Create(SplitMix64.Step);
        x = (x ^ (x >>> 30)) * Vector256.Create(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >>> 27)) * Vector256.Create(0x94D0_49BB_1331_11EB);
        return x ^ (x >>> 31);
    }
}
