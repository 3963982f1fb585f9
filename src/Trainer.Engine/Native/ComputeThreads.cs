using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;
using Trainer.Numerics.Machine;
using Trainer.Numerics.Spans;

namespace Trainer.Engine.Native;

/// <summary>Loops of the engine on its own team of threads. libtorch's operators have threads of their own, as many, which sleep meanwhile.</summary>
/// <remarks>
/// A loop is cut into chunks that free threads take. What a chunk computes must not depend on where the cuts are, so that results are the same bits for any
/// number of threads and whoever takes what.
/// </remarks>
public static unsafe partial class ComputeThreads
{
    // Elements whose step takes some ten microseconds: less is not worth a thread.
    private const long SpanGrain = 1 << 15;
    // Small enough that the last chunk of a thread is a small part of its work, large enough that taking one costs nothing.
    private const long ChunksPerThread = 8;

    [ThreadStatic]
    private static int _inside;

    /// <summary>Threads that loops are cut for: libtorch's number, which <see cref="Use"/> sets.</summary>
    public static int Count => Runner?.Threads ?? torch.get_num_threads();

    /// <summary>Whether the calling thread is inside a loop: one that it begins there is its own alone.</summary>
    internal static bool IsInside => _inside > 0;

    /// <summary>What goes through loops in place of the team, or null.</summary>
    internal static ILoopRunner? Runner { get; set; }

    /// <summary>Sets how many threads compute: as many as are wanted, else libtorch's own number, but no more than there are cores, or than the control group
    /// has time for.</summary>
    /// <param name="wanted">What the user said; null for nothing.</param>
    public static void Use(int? wanted)
    {
        if (wanted is { } threads) torch.set_num_threads(threads);
        else if (torch.get_num_threads() > MachineLimits.ComputeThreads) torch.set_num_threads(MachineLimits.ComputeThreads);
    }

    /// <summary>Goes through [begin, end) in chunks of at least <paramref name="grain"/>, except the last, on as many threads as there are chunks for, and
    /// waits for all.</summary>
    /// <param name="begin">First index.</param>
    /// <param name="end">One past the last.</param>
    /// <param name="grain">Smallest chunk worth a thread.</param>
    /// <param name="body">Takes a chunk's begin and end; called on several threads at once, more than once on each. Must not call libtorch operators.</param>
    public static void For(long begin, long end, long grain, Action<long, long> body) => For(begin, end, grain, (_, from, to) => body(from, to));

    /// <summary>The same with the number of the thread, below <see cref="Count"/>: that of a scratch of its own.</summary>
    /// <param name="begin">First index.</param>
    /// <param name="end">One past the last.</param>
    /// <param name="grain">Smallest chunk worth a thread.</param>
    /// <param name="body">Takes the thread's number, and a chunk's begin and end.</param>
    /// <param name="most">Threads that there is scratch for.</param>
    public static void For(long begin, long end, long grain, Action<int, long, long> body, int most = int.MaxValue)
    {
        if (begin >= end) return;
        if (IsInside)
        {
            body(_inside - 1, begin, end);
            return;
        }
        var threads = Math.Min(Count, most);
        var chunk = Math.Max(Math.Max(1, grain), (end - begin - 1) / (threads * ChunksPerThread) + 1);
        if (threads == 1) chunk = end - begin;
        if (Runner is { } runner) runner.Run(begin, end, chunk, body);
        else if (end - begin <= chunk || SerialBlas.IsKnown)
            Inside(0, _ => ThreadTeam.Shared.Run(new TeamLoop(begin, end, chunk, body) { Threads = threads }));
        else OnLibtorch(new TeamLoop(begin, end, chunk, body), threads);
    }

    /// <summary>A part of two spans that are stepped element by element.</summary>
    /// <param name="values">Values of the part.</param>
    /// <param name="gradients">Their gradients.</param>
    /// <param name="begin">Place of the part's first element in the whole.</param>
    public delegate void SpanPart(Span<float> values, ReadOnlySpan<float> gradients, long begin);

    /// <summary>Splits two spans of one length at the same places. For work on each element, or each unit, by itself, which any split leaves the
    /// same.</summary>
    /// <param name="values">Values.</param>
    /// <param name="gradients">Their gradients.</param>
    /// <param name="body">Takes a part; called on several threads at once.</param>
    /// <param name="unit">Where parts may start: at multiples of it.</param>
    public static void ForSpans(LongSpan<float> values, ReadOnlyLongSpan<float> gradients, SpanPart body, int unit = 1)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(gradients.Length, values.Length);
        fixed (float* value = values, gradient = gradients)
        {
            float* v = value, g = gradient;
            ForUnits(0, values.Length, unit, SpanGrain, (begin, end) =>
            {
                foreach (var (at, count) in LongBlocks.Of(end - begin))
                    body(new Span<float>(v + begin + at, count), new ReadOnlySpan<float>(g + begin + at, count), begin + at);
            });
        }
    }

    /// <summary>A block of values that are read.</summary>
    /// <param name="values">Values of the block.</param>
    /// <param name="block">Number of the block.</param>
    public delegate void SpanBlock(ReadOnlySpan<float> values, long block);

    /// <summary>Shows a span in blocks of a fixed size, whatever the number of threads: for sums that must not depend on it.</summary>
    /// <param name="values">Values.</param>
    /// <param name="size">Elements of a block; the last may have fewer.</param>
    /// <param name="body">Takes a block; called on several threads at once.</param>
    public static void ForBlocks(ReadOnlyLongSpan<float> values, int size, SpanBlock body)
    {
        var length = values.Length;
        fixed (float* value = values)
        {
            var v = value;
            For(0, (length + size - 1) / size, 1, (begin, end) =>
            {
                for (var block = begin; block < end; block++)
                    body(new ReadOnlySpan<float>(v + block * size, (int)Math.Min(size, length - block * size)), block);
            });
        }
    }

    /// <summary>Splits a range whose parts must start at multiples of <paramref name="unit"/> (NF4 blocks, rows).</summary>
    /// <param name="begin">First index, a multiple of the unit.</param>
    /// <param name="end">One past the last.</param>
    /// <param name="unit">Where parts may start.</param>
    /// <param name="grain">Smallest part worth a thread.</param>
    /// <param name="body">Takes a part's begin and end.</param>
    public static void ForUnits(long begin, long end, long unit, long grain, Action<long, long> body)
    {
        // An empty range may begin anywhere; rounded to units it would not be empty.
        if (begin >= end) return;
        var first = begin / unit;
        var last = (end + unit - 1) / unit;
        For(first, last, Math.Max(1, grain / unit), (from, to) => body(from * unit, Math.Min(to * unit, end)));
    }

    /// <summary>Does something as a thread of a loop: products of BLAS stay on it, and loops that begin meanwhile too.</summary>
    /// <param name="slot">Number of the thread.</param>
    /// <param name="work">What; takes the number.</param>
    internal static void Inside(int slot, Action<int> work)
    {
        var (outside, before) = (_inside, SerialBlas.Enter());
        _inside = slot + 1;
        try
        {
            work(slot);
        }
        finally
        {
            _inside = outside;
            SerialBlas.Leave(before);
        }
    }

    // Where BLAS cannot be told to stay on one thread, it does so inside a loop of libtorch's: its threads then take the chunks.
    private static void OnLibtorch(TeamLoop loop, int threads)
    {
        var handle = GCHandle.Alloc(loop);
        try
        {
            var code = ParallelFor(0, threads, 1, &Call, (void*)GCHandle.ToIntPtr(handle));
            if (code != 0) throw new InvalidOperationException($"libtorch's parallel loop failed (code {code})");
        }
        finally
        {
            handle.Free();
        }
        loop.Join(0);
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Call(long slot, long end, void* loop) => Inside((int)slot, ((TeamLoop)GCHandle.FromIntPtr((IntPtr)loop).Target!).Work);

    [LibraryImport("torch_cpu", EntryPoint = "torch_parallel_for")]
    private static partial int ParallelFor(long begin, long end, long grain, delegate* unmanaged[Cdecl]<long, long, void*, void> body, void* context);
}
